"""Files under one root, written whole or not at all."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import fsspec
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem
from pydantic import BaseModel

from otcondense.errors import InputError

TEMPORARY_PREFIX = ".tmp-"
"""Names of unfinished files start with this."""
DIGEST = "content"
"""Key of the digest in every JSON file."""


def canonical_json(value: Any, *, indent: int | None = None) -> str:
    """Return the canonical JSON of `value`: sorted keys, shortest floats, models as objects."""
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(
        value,
        sort_keys=True,
        indent=indent,
        separators=separators,
        ensure_ascii=False,
        default=_plain,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no canonical JSON form")


def _decoded(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _digest(value: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


@contextmanager
def write_whole(final: Path) -> Iterator[Path]:
    """Write a local file or folder whole or not at all.

    Gives a temporary path in the same directory; at the end of the `with` block it is renamed to
    `final`, or deleted if the block failed.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
    try:
        yield temporary
        temporary.rename(final)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)


@dataclass(frozen=True)
class Store:
    """Files under one root: a local directory or any fsspec URI such as `s3://bucket/run`.

    Names are relative to the root and use `/`. On a local disk a file is written under a temporary
    name in the same directory, flushed to the disk and renamed; an object store gets one PUT under
    the final name.
    """

    root: str

    @cached_property
    def _target(self) -> tuple[AbstractFileSystem, str]:
        filesystem, root = fsspec.core.url_to_fs(self.root)
        return filesystem, root.rstrip("/")

    @property
    def is_local(self) -> bool:
        """Whether the root is in a local file system: renaming is atomic, files can be locked."""
        return isinstance(self._target[0], LocalFileSystem)

    def path(self, name: str = "") -> str:
        """Return the absolute path (or URI path) of `name`.

        Raises: ValueError if `name` would leave the root.
        """
        parts = [part for part in name.split("/") if part]
        if name.startswith("/") or ".." in parts:
            raise ValueError(
                f"a name in a store must stay below its root {self.root}, found {name!r}"
            )
        return "/".join([self._target[1], *parts])

    def exists(self, name: str) -> bool:
        """Tell whether there is a file or directory called `name`."""
        # fsspec's own `exists` returns False for every exception: also for an interruption or a
        # failing network.
        try:
            self._target[0].info(self.path(name))
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def read_bytes(self, name: str) -> bytes:
        """Return the content of `name`."""
        return bytes(self._target[0].cat_file(self.path(name)))

    def open(self, name: str) -> Any:
        """Open `name` for reading at any position.

        A remote file has the methods of `IO[bytes]` but not its type.
        """
        return self._target[0].open(self.path(name), "rb")

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write `data` under `name`, whole or not at all."""
        if not self.is_local:
            self._target[0].pipe_file(self.path(name), data)
            return
        final = Path(self.path(name))
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = final.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(final)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(final)) from error
        finally:
            temporary.unlink(missing_ok=True)

    def read_json(self, name: str) -> dict[str, Any]:
        """Return the JSON object stored under `name`, its content checked against its own digest.

        Raises: InputError if the file is not one that `write_json` wrote, or was changed since.
        """
        try:
            value = dict(json.loads(self.read_bytes(name)))
            written = value.pop(DIGEST)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{self.path(name)} is damaged ({error}); run the stage again to redo it"
            ) from error
        if _digest(value) != written:
            raise InputError(
                f"{self.path(name)} does not have the content it was written with; "
                "run the stage again to redo it"
            )
        return value

    def write_json(self, name: str, value: dict[str, Any] | BaseModel) -> None:
        """Write an object as canonical JSON under `name`, with a digest of its content."""
        plain = json.loads(canonical_json(value))
        text = canonical_json({**plain, DIGEST: _digest(plain)}, indent=1)
        self.write_bytes(name, (text + "\n").encode())

    def append_line(self, name: str, line: str) -> None:
        """Append one line to a log; every other file must be written whole."""
        if self.is_local:
            path = Path(self.path(name))
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a") as file:
                file.write(line + "\n")
            return
        earlier = self.read_bytes(name) if self.exists(name) else b""
        self.write_bytes(name, earlier + line.encode() + b"\n")

    def read_lines(self, name: str) -> list[dict[str, Any]]:
        """Return the objects of a log of JSON lines, none if there is no such log.

        Broken lines, which a killed process or a lost machine leaves, are skipped: a line without
        an end, or one that is not JSON.
        """
        if not self.exists(name):
            return []
        text = self.read_bytes(name).decode(errors="replace")
        whole = text[: text.rfind("\n") + 1]
        values = map(_decoded, whole.splitlines())
        return [value for value in values if value is not None]

    def list(self, prefix: str = "") -> list[str]:
        """Return the sorted names of all files below `prefix`, temporary ones left out."""
        base = self.path(prefix)
        if not self.exists(prefix):
            return []
        start = len(self._target[1]) + 1
        names = (str(path)[start:] for path in self._target[0].find(base))
        return sorted(
            name for name in names if not name.rsplit("/", 1)[-1].startswith(TEMPORARY_PREFIX)
        )

    def remove_temporaries(self) -> None:
        """Delete the temporary files of killed writers.

        Call it only while holding the run lock: it would also delete files that are being written.
        """
        if not self.is_local:
            return
        for path in Path(self.path()).rglob(f"{TEMPORARY_PREFIX}*"):
            path.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Delete the file or directory tree `name` if it is there."""
        if self.exists(name):
            self._target[0].rm(self.path(name), recursive=True)
