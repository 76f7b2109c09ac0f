"""A Hugging Face hub on loopback that takes uploads: the real client creates a data set there.

It speaks the protocol without Xet (`HF_HUB_DISABLE_XET`): small files lie in the commit, Parquet
files go to the large-file store first, as on the Hub.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import yaml

from otcondense.exports.card.licences import LICENCES
from tests.generators.hub import COMMIT
from tests.generators.hub_datasets import dataset_handler

WRITER, READER = "hf_writer", "hf_reader"
"""A token that may write, and one that may only read."""
POLL_SECONDS = 0.01
"""Time after which the server sees that it shall end."""
GIT_FILE = ".gitattributes"


@dataclass
class Account:
    """One data set of the hub, and what was asked of it."""

    repository: str
    files: dict[str, bytes] = field(default_factory=dict)
    """Of the last commit."""
    blobs: dict[str, bytes] = field(default_factory=dict)
    """The large-file store, by SHA-256."""
    is_there: bool = False
    private: bool = False
    is_broken: bool = False
    """Whether the large-file store refuses files."""
    commits: list[list[str]] = field(default_factory=list)
    """The paths that each commit added or deleted."""
    uploads: list[str] = field(default_factory=list)
    """The large files that were sent."""

    def card(self) -> dict[str, object]:
        """Return the metadata of the data set's card."""
        return metadata(self.files.get("README.md", b"").decode())

    def oid(self, name: str) -> str | None:
        """Return what the hub calls the content of a file; None if it is not there."""
        data = self.files.get(name)
        if data is None:
            return None
        blob = hashlib.sha256(data).hexdigest()
        return blob if is_large(name) else hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

    def entries(self) -> list[dict[str, object]]:
        """Return all files as the hub lists them."""
        return [
            {"type": "file", "path": name, "size": len(data), "oid": self.oid(name)}
            for name, data in self.files.items()
        ]


def is_large(name: str) -> bool:
    """Tell whether a file goes to the large-file store."""
    return name.endswith(".parquet")


def metadata(card: str) -> dict[str, object]:
    """Return the metadata of a card; empty without one."""
    parts = card.split("---\n", 2)
    return yaml.safe_load(parts[1]) if len(parts) == 3 else {}


def faults_of(card: str) -> list[str]:
    """Return what the hub finds wrong with the metadata of a card."""
    try:
        values = metadata(card)
    except yaml.YAMLError as error:
        return [str(error)]
    licence = values.get("license")
    known = licence is None or licence in LICENCES
    return [] if known else [f'"license" must be one of the list, found {licence}']


class _Uploads(BaseHTTPRequestHandler):
    """Answers to the account's owner; the class after it answers to readers."""

    account: Account

    @property
    def api(self) -> str:
        return f"/api/datasets/{self.account.repository}"

    @property
    def page(self) -> str:
        return f"/datasets/{self.account.repository}"

    def do_HEAD(self) -> None:
        name = self.path.partition("/resolve/")[2].partition("/")[2]
        if name not in self.account.files:
            return self.refuse("EntryNotFound")
        self.send_response(200)
        self.send_header("ETag", f'"{self.account.oid(name)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(self.account.files[name])))
        self.end_headers()
        return None

    def do_GET(self) -> None:
        path, query = urlsplit(self.path)[2:4]
        if not self.account.is_there:
            self.refuse("RepoNotFound")
        elif path in (self.api, *(f"{self.api}/revision/{each}" for each in ("main", COMMIT))):
            self.answer(self.info())
        elif path.startswith(f"{self.api}/tree/") and "recursive=true" in query.lower():
            self.answer(self.account.entries())
        else:
            super().do_GET()

    def info(self) -> dict[str, object]:
        names = [{"rfilename": name} for name in self.account.files]
        tags = self.account.card().get("tags", [])
        return {"id": self.account.repository, "sha": COMMIT, "tags": tags, "siblings": names}

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        actions = {
            "/api/validate-yaml": self.validate,
            "/api/repos/create": self.create,
            f"{self.api}/preupload/main": self.plan,
            f"{self.page}.git/info/lfs/objects/batch": self.plan_large,
            f"{self.api}/commit/main": self.commit,
        }
        action = actions.get(urlsplit(self.path).path)
        if action is None:
            return super().do_POST()
        return action(self.rfile.read(size).decode())

    def do_PUT(self) -> None:
        oid = self.path.removeprefix("/large/")
        data = self.rfile.read(int(self.headers["Content-Length"]))
        assert hashlib.sha256(data).hexdigest() == oid
        self.account.blobs[oid] = data
        self.account.uploads.append(oid)
        self.answer({}, 413 if self.account.is_broken else 200)

    def may_write(self) -> bool:
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ")
        if token == WRITER:
            return True
        self.answer({"error": "no"}, 403 if token == READER else 401)
        return False

    def validate(self, text: str) -> None:
        faults = [{"message": each} for each in faults_of(json.loads(text)["content"])]
        self.answer({"errors": faults, "warnings": []}, 400 if faults else 200)

    def create(self, text: str) -> None:
        if not self.may_write():
            return
        wanted = json.loads(text)
        assert wanted["type"] == "dataset"
        assert f"{wanted['organization']}/{wanted['name']}" == self.account.repository
        status = 409 if self.account.is_there else 200
        if not self.account.is_there:
            self.account.is_there = True
            self.account.private = wanted.get("visibility") == "private"
            self.account.files[GIT_FILE] = b"*.parquet filter=lfs\n"
        self.answer({"url": f"http://{self.headers['Host']}{self.page}"}, status)

    def plan(self, text: str) -> None:
        found = []
        for file in json.loads(text)["files"]:
            name = file["path"]
            mode = "lfs" if is_large(name) else "regular"
            oid = self.account.oid(name)
            found.append({"path": name, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self.answer({"files": found})

    def plan_large(self, text: str) -> None:
        found = []
        for each in json.loads(text)["objects"]:
            place = f"http://{self.headers['Host']}/large/{each['oid']}"
            missing = {"actions": {"upload": {"href": place}}}
            found.append({**each, **({} if each["oid"] in self.account.blobs else missing)})
        self.answer({"transfer": "basic", "objects": found})

    def commit(self, text: str) -> None:
        if not self.may_write():
            return
        changed = []
        for line in text.splitlines():
            item = json.loads(line)
            if item["key"] != "header":
                changed.append(self.change(item["key"], item["value"]))
        self.account.commits.append(changed)
        url = f"http://{self.headers['Host']}{self.page}/commit/{COMMIT}"
        self.answer({"commitUrl": url, "commitOid": COMMIT})

    def change(self, kind: str, value: dict[str, str]) -> str:
        name = value["path"]
        if kind == "deletedFile":
            del self.account.files[name]
        elif kind == "lfsFile":
            self.account.files[name] = self.account.blobs[value["oid"]]
        else:
            assert kind == "file"
            self.account.files[name] = base64.b64decode(value["content"])
        return name

    def answer(self, value: object, status: int = 200) -> None:
        self.send(json.dumps(value).encode(), status)


@contextmanager
def hub_account(repository: str) -> Iterator[tuple[str, Account]]:
    """Serve a hub without any data set; gives its address and what it holds."""
    account = Account(repository)
    reader = dataset_handler(repository, account.files)
    handler = type("Handler", (_Uploads, reader), {"account": account})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", account
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
