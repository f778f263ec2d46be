"""A real browser for tests: headless Chromium, spoken to over a pipe in the DevTools protocol."""

import base64
import json
import os
import subprocess
import time
from pathlib import Path

WAIT = 120  # seconds for one answer: machines that run tests are busy
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "Space": 32}


class Browser:
    """Chromium with one page; `requests` and `complaints` are everything that the page asked for and said of itself."""

    def __init__(self, binary: str, profile: Path) -> None:
        (theirs, self._out), (self._in, answers) = os.pipe(), os.pipe()
        command = [
            binary, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank",
        ]  # fmt: skip
        redirect = ["bash", "-c", f'exec "$@" 3<&{theirs} 4>&{answers}', "chromium"]
        self._process = subprocess.Popen(
            [*redirect, *command], pass_fds=(theirs, answers), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(theirs)
        os.close(answers)
        self._buffer, self._number, self._session = b"", 0, None
        self.requests: list[str] = []
        self.complaints: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def send(self, method, **parameters):
        """The answer to one command; what the page reports meanwhile is kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        content = json.dumps(message).encode() + b"\0"
        while content:
            content = content[os.write(self._out, content) :]
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def _receive(self):
        while b"\0" not in self._buffer:
            piece = os.read(self._in, 1 << 20)
            assert piece, "the browser ended"
            self._buffer += piece
        content, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(content)
        parameters = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"])
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(parameters["exceptionDetails"])[:500])
            case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "warning", "assert"):
                self.complaints.append(json.dumps(parameters["args"])[:500])
            case "Log.entryAdded" if parameters["entry"]["level"] in ("error", "warning"):
                self.complaints.append(json.dumps(parameters["entry"])[:500])
        return message

    def size(self, width, height):
        """Width and height of the window in CSS pixels."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def open(self, path, fragment="", until="document.readyState === 'complete'"):
        """Load a file; seconds until it was whole by the page's own clock."""
        self.send("Page.navigate", url="about:blank")
        self.send("Page.navigate", url=Path(path).resolve().as_uri() + fragment)
        self.wait(f"location.protocol === 'file:' && {until}")
        return self("performance.timing.loadEventEnd - performance.timing.navigationStart") / 1000

    def __call__(self, script):
        """The value of an expression of JavaScript in the page."""
        answer = self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition):
        """Wait until an expression is true."""
        end = time.monotonic() + WAIT
        while not self(condition):
            assert time.monotonic() < end, f"never true: {condition}"
            time.sleep(0.05)

    def press(self, *keys):
        """Press keys one after the other, as a user does."""
        for key in keys:
            text = {"Enter": "\r", "Space": " "}.get(key, "")
            shared = {"key": " " if key == "Space" else key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
            self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **shared)
            self.send("Input.dispatchKeyEvent", type="keyUp", **shared)

    def type(self, text):
        """Write into what has the focus."""
        self.send("Input.insertText", text=text)

    def screenshot(self, path, whole=False):
        """Write a PNG of the window, or of the whole page."""
        answer = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        Path(path).write_bytes(base64.b64decode(answer["data"]))

    def print(self, path):
        """Write a PDF of the page as it prints."""
        answer = self.send("Page.printToPDF", preferCSSPageSize=True)
        Path(path).write_bytes(base64.b64decode(answer["data"]))
