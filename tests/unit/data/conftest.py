"""A local server that misbehaves on purpose."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from foundationless.data import download


class Handler(BaseHTTPRequestHandler):
    """Serves what `server.content(path)` gives, with ranges; the n-th request for what is not an index or a list
    misbehaves as the n-th entry of `server.script` says (the last one stays)."""

    def log_message(self, *_):
        pass

    def answer(self, status, length=0, **headers):
        self.send_response(status)
        for key, value in (headers | {"Content-Length": str(length)}).items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()

    def do_GET(self):
        script, asked, content = self.server.script, self.headers.get("Range"), self.server.content(self.path)
        if content is None:
            return self.answer(404)
        behaviour = "ok"
        if not self.path.endswith((".tbi", ".txt")):
            behaviour = script.pop(0) if len(script) > 1 else script[0]
            self.server.ranges.append(asked)
        if behaviour.isdigit():
            return self.answer(int(behaviour), **({"Retry_After": "7"} if behaviour == "429" else {}))
        if behaviour == "redirect":
            return self.answer(302, Location="http://example.org/file.bin")
        if behaviour.startswith("chunks"):  # without a length; `chunks_cut` ends before the last one
            self.protocol_version, self.close_connection = "HTTP/1.1", True
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for start in range(0, len(content), 1000):
                piece = content[start : start + 1000]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            return self.wfile.write(b"" if behaviour == "chunks_cut" else b"0\r\n\r\n")
        changed = {"wrong_byte": content[:-1] + bytes(last ^ 1 for last in content[-1:]), "longer": content + b"more"}
        body = (changed | {"shorter": content[:-5]}).get(behaviour, content)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", asked or "")
        low, high = 0, len(body)
        if wanted and behaviour != "no_range":
            low = 0 if behaviour == "other_range" else int(wanted[1])
            high = min(len(body), int(wanted[2]) + 1 if wanted[2] else len(body))
            self.answer(206, high - low, Content_Range=f"bytes {low}-{high - 1}/{len(body)}")
        else:
            self.answer(200, len(body))
        if behaviour in ("truncate", "stall"):
            high = low + (high - low) // 2
            self.close_connection = True
        try:
            self.wfile.write(body[low:high])
            self.wfile.flush()
            self.server.sent[self.path] = self.server.sent.get(self.path, 0) + high - low
            if behaviour == "stall":
                self.server.released.wait(20)
        except ConnectionError:
            pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "BACKOFF_SECONDS", 0.01)
    monkeypatch.setenv("no_proxy", "*")
    instance = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    instance.daemon_threads = True
    instance.script, instance.ranges, instance.sent, instance.released = ["ok"], [], {}, threading.Event()
    instance.url = f"http://127.0.0.1:{instance.server_port}"
    thread = threading.Thread(target=instance.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield instance
    instance.released.set()
    instance.shutdown()
    thread.join()
    instance.server_close()


@pytest.fixture
def write_ledger(tmp_path):
    """Writes a ledger of one row."""

    def write(row):
        path = tmp_path / "ledger.tsv"
        path.write_text("\t".join(row) + "\n" + "\t".join(row.values()) + "\n")
        return path

    return write
