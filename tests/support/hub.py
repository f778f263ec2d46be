"""A hub on this machine: what the hub's own library asks for, answered from memory."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REVISION = "0123456789abcdef0123456789abcdef01234567"


class _Handler(BaseHTTPRequestHandler):
    """Facts, file list and files of every repository in `files`: {repository: {name: bytes}}, at one revision."""

    files: dict[str, dict[str, bytes]]
    private: dict[str, str]
    fetched: list[str]

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        parts = self.path.split("?")[0].strip("/").split("/")
        api = parts[:2] == ["api", "models"]
        repository = "/".join(parts[2:4] if api else parts[:2])
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        held = self.files.get(repository)
        if held is None or self.private.get(repository, token) != token:
            return self.answer(401, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"})
        if api and parts[4:5] == ["revision"] and parts[5] not in (REVISION, "main"):
            return self.answer(404, b'{"error": "Invalid rev id"}', {"X-Error-Code": "RevisionNotFound"})
        if api:
            return self.answer(200, json.dumps(self.listing(parts, repository, held)).encode(), {})
        if parts[3] != REVISION or parts[-1] not in held:
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        if "Range" not in self.headers:  # the header of a file alone
            self.fetched.append(parts[-1])
        tag = hashlib.sha1(held[parts[-1]]).hexdigest()
        return self.answer(200, held[parts[-1]], {"ETag": f'"{tag}"', "X-Repo-Commit": REVISION})

    do_HEAD = do_GET

    def listing(self, parts, repository, held):
        if "tree" in parts:
            return [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in held.items()
            ]
        siblings = [{"rfilename": name, "size": len(data)} | _large(name, data) for name, data in held.items()]
        return {"_id": "0", "id": repository, "sha": REVISION, "siblings": siblings}

    def answer(self, code, body, headers):
        self.send_response(code)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def _large(name, data):
    """The facts of a file in large-file storage, as weights are."""
    if not name.endswith((".safetensors", ".bin")):
        return {}
    return {"lfs": {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 135}}


@contextmanager
def serving(files, private=()):
    """Yield (environment variables under which the hub's library speaks to this one, names of the files it took)."""
    handler = type("Handler", (_Handler,), {"files": files, "private": dict(private), "fetched": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        switches = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        yield {"HF_ENDPOINT": address, **switches}, handler.fetched
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def run_commands(calls, home, directory, **variables):
    """Run those command lines one after another; the last line of `stdout` lists their exit codes.

    In a process of its own: the hub's library reads its address, its token and the place of its cache (`home`) once.
    """
    code = "import json, sys; from foundationless.__main__ import main; print([main(c) for c in json.load(sys.stdin)])"
    environment = os.environ | {"HF_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)} | variables
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, input=json.dumps(calls), cwd=directory,
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
