"""A Hugging Face hub of one repository on loopback: the real client talks to it over HTTP."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def _handler(
    repository: str, files: dict[str, bytes], seen: list[str]
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            seen.append(f"{self.command} {self.path}")
            if self.path.startswith(f"/api/models/{repository}"):
                return self.send(
                    json.dumps(self.info()).encode(),
                    {"Content-Type": "application/json"},
                    body=body,
                )
            name = re.fullmatch(rf"/{repository}/resolve/[^/]+/(.+)", self.path)
            if name is None or name.group(1) not in files:
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("Content-Length", "0")
                return self.end_headers()
            data = files[name.group(1)]
            return self.send(
                data,
                {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT},
                body=body,
            )

        def send(self, data: bytes, headers: dict[str, str], *, body: bool) -> None:
            self.send_response(200)
            for key, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(key, value)
            self.end_headers()
            if body:
                self.wfile.write(data)

        def info(self) -> dict:
            siblings = [
                {
                    "rfilename": name,
                    "size": len(data),
                    "lfs": {
                        "size": len(data),
                        "sha256": hashlib.sha256(data).hexdigest(),
                        "pointerSize": 134,
                    },
                }
                for name, data in files.items()
            ]
            return {
                "id": repository,
                "sha": COMMIT,
                "siblings": siblings,
                "cardData": {"license": "mit"},
                "tags": [],
                "private": False,
            }

    return Handler


@contextmanager
def hub(repository: str, files: dict[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """Serve `files`; gives the address and the list of requests so far.

    The files may be changed while the hub runs.
    """
    seen: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(repository, files, seen))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
