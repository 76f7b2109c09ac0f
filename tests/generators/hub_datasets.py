"""A data set of the Hugging Face hub on loopback: the real file system reads it over HTTP."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from tests.generators.hub import COMMIT


def entries(files: dict[str, bytes], folder: str) -> list[dict[str, object]]:
    """Return what lies directly in a folder, as the hub describes it."""
    start = f"{folder}/" if folder else ""
    found: dict[str, dict[str, object]] = {}
    for name, data in files.items():
        if name.startswith(start):
            first, _, rest = name.removeprefix(start).partition("/")
            path = f"{start}{first}"
            oid = hashlib.sha256(path.encode()).hexdigest()[:40]
            kind = {"type": "directory", "size": 0} if rest else {"type": "file", "size": len(data)}
            found[path] = {"path": path, "oid": oid, **kind}
    return list(found.values())


def dataset_handler(repository: str, files: dict[str, bytes]) -> type[BaseHTTPRequestHandler]:
    """Return what answers to readers of one data set."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            is_json = self.headers["Content-Type"].startswith("application/json")
            wanted = json.loads(text)["paths"] if is_json else parse_qs(text)["paths"]
            known = [each for name in wanted for each in entries(files, name.rpartition("/")[0])]
            self.send(json.dumps([each for each in known if each["path"] in wanted]).encode())

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            api = f"/api/datasets/{repository}"
            tree = re.fullmatch(rf"{api}/tree/[^/]+/?(.*)", path)
            file = re.fullmatch(rf"/datasets/{repository}/resolve/[^/]+/(.+)", path)
            if tree is not None and (listed := entries(files, tree.group(1))):
                self.send(json.dumps(listed).encode())
            elif file is not None and file.group(1) in files:
                self.send_range(files[file.group(1)])
            elif path in (api, f"{api}/revision/main", f"{api}/revision/v1"):
                self.send(json.dumps({"id": repository, "sha": COMMIT, "tags": []}).encode())
            else:
                is_known = path.startswith((f"{api}/", f"/datasets/{repository}/"))
                self.refuse("EntryNotFound" if is_known else "RepoNotFound")

        def send_range(self, data: bytes) -> None:
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"] or "")
            if asked is None:
                self.send(data)
            else:
                self.send(data[int(asked.group(1)) : int(asked.group(2)) + 1], 206)

        def refuse(self, code: str) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def send(self, data: bytes, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler


@contextmanager
def hub_dataset(repository: str, files: dict[str, bytes]) -> Iterator[str]:
    """Serve the files of a data set; gives the address of the hub."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), dataset_handler(repository, files))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
