"""Files under one root, written whole or not at all."""

import errno
import json
import logging
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import fsspec
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.spec import AbstractBufferedFile
from pydantic import BaseModel

from otcondense.credentials import WHERE_INSTEAD, has_credentials
from otcondense.errors import DamagedInputError, InputError
from otcondense.store.json_text import DIGEST, Line, canonical_json, digest_of, parse_lines
from otcondense.store.local_files import (
    HIDDEN,
    append_line,
    files_below,
    is_file,
    open_whole,
    remove_path,
    temporaries_below,
    write_file,
)

LOG = logging.getLogger(__name__)
CHANGE_MARKS = ("ETag", "etag", "LastModified", "mtime", "created", "updated")
"""Facts of a remote file that change with its content, as stores call them."""
REMOTE_PART_BYTES = 2**26
"""Size of the parts of a file that is written to an object store, which allow 10,000 of them."""


def _is_hidden(name: str) -> bool:
    return any(part.startswith(HIDDEN) for part in name.split("/"))


@dataclass(frozen=True)
class Store:
    """Files under one root: a local directory or any fsspec URI such as `s3://bucket/run`.

    Names are relative to the root and use `/`. On a local disk a file is written under a temporary
    name in the same directory, flushed to the disk and renamed; an object store gets one PUT under
    the final name.

    Raises: InputError for a root with a key or password in it, which messages would show.
    """

    root: str

    def __post_init__(self) -> None:
        if has_credentials(self.root):
            raise InputError(
                "the root of a store must be an address without credentials, found some in it; "
                f"{WHERE_INSTEAD}"
            )

    @cached_property
    def _target(self) -> tuple[AbstractFileSystem, str]:
        try:
            filesystem, root = fsspec.core.url_to_fs(self.root)
        except (ValueError, ImportError) as error:
            raise InputError(
                f"{self.root} must be a local directory or a URI that fsspec can open, "
                f"such as s3://bucket/run; found: {error}"
            ) from error
        return filesystem, root.rstrip("/") or "/"

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
        """Tell whether there is a file called `name`; a folder of this name is no file."""
        if self.is_local:
            return is_file(Path(self.path(name)))
        # fsspec's own `exists` returns False for every exception: also for an interruption or a
        # failing network.
        try:
            return bool(self._target[0].info(self.path(name))["type"] == "file")
        except (FileNotFoundError, NotADirectoryError):
            return False

    def read_bytes(self, name: str) -> bytes:
        """Return the content of `name`."""
        self._check_regular(name)
        return bytes(self._target[0].cat_file(self.path(name)))

    def open(self, name: str) -> Any:
        """Open `name` for reading at any position.

        A remote file has the methods of `IO[bytes]` but not its type.
        """
        self._check_regular(name)
        return self._target[0].open(self.path(name), "rb")

    def _check_regular(self, name: str) -> None:
        """Refuse what is no file: opening a pipe would wait forever.

        Raises: FileNotFoundError.
        """
        if self.is_local and not self.exists(name):
            raise FileNotFoundError(errno.ENOENT, "there is no such file", self.path(name))

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write `data` under `name`, whole or not at all."""
        if not self.is_local:
            self._target[0].pipe_file(self.path(name), data)
            return
        write_file(Path(self.path()), Path(self.path(name)), data)

    @contextmanager
    def writing(self, name: str) -> Iterator[Any]:
        """Give a file to write `name` part by part; it is written whole, or not at all.

        An object store gets the parts as a multipart upload, which is aborted if the block fails.
        """
        if self.is_local:
            with open_whole(Path(self.path()), Path(self.path(name))) as local:
                yield local
            return
        file = self._target[0].open(self.path(name), "wb", block_size=REMOTE_PART_BYTES)
        try:
            yield file
        except BaseException:
            if isinstance(file, AbstractBufferedFile):
                file.discard()
                file.closed = True  # or the garbage collector would end the upload
            raise
        file.close()

    def read_json(self, name: str) -> dict[str, Any]:
        """Return the JSON object stored under `name`, its content checked against its own digest.

        Raises: DamagedInputError if `write_json` did not write the file, or it was changed since.
        """
        try:
            value = dict(json.loads(self.read_bytes(name)))
            written = value.pop(DIGEST)
        except (ValueError, TypeError, KeyError) as error:
            raise DamagedInputError(f"{self.path(name)} is damaged ({error})", name) from error
        if digest_of(value) != written:
            raise DamagedInputError(
                f"{self.path(name)} does not have the content it was written with", name
            )
        return value

    def write_json(self, name: str, value: dict[str, Any] | BaseModel) -> None:
        """Write an object as canonical JSON under `name`, with a digest of its content."""
        plain = json.loads(canonical_json(value))
        text = canonical_json({**plain, DIGEST: digest_of(plain)}, indent=1)
        self.write_bytes(name, (text + "\n").encode())

    def append_line(self, name: str, line: str) -> None:
        """Append one line to a log; every other file must be written whole.

        A log that cannot be written is lost, with a warning: it must not stop the work.
        """
        try:
            self._append(name, line)
        except OSError as error:
            LOG.warning("%s is not written: %s", self.path(name), error.strerror or error)

    def _append(self, name: str, line: str) -> None:
        if self.is_local:
            append_line(Path(self.path()), Path(self.path(name)), line)
            return
        earlier = self.read_bytes(name) if self.exists(name) else b""
        end = b"" if earlier.endswith(b"\n") or not earlier else b"\n"
        self.write_bytes(name, earlier + end + line.encode() + b"\n")

    def read_tail(self, name: str, start: int) -> bytes:
        """Return the content of a log from byte `start` on, b"" if there is none so far."""
        if not self.exists(name):
            return b""
        if not self.is_local:
            return self.read_bytes(name)[start:]
        with Path(self.path(name)).open("rb") as file:
            file.seek(start)
            return file.read()

    def read_lines(self, name: str, kind: type[Line]) -> list[Line]:
        """Return the lines of a log of JSON lines, none if there is no such log.

        Broken lines, which a killed process or a lost machine leaves, are skipped: a line without
        an end, or one that does not describe an object of `kind`.
        """
        if not self.exists(name):
            return []
        whole, _, _ = self.read_bytes(name).rpartition(b"\n")
        return parse_lines(whole, kind)

    def list_hidden(self, prefix: str) -> list[str]:
        """Return the names of all files below a hidden folder, which `list` leaves out."""
        if self.is_local:
            found = [str(path) for path in Path(self.path(prefix)).rglob("*") if path.is_file()]
        else:
            found = [str(path) for path in self._target[0].find(self.path(prefix))]
        start = len(self._target[1]) + 1
        return sorted(path[start:] for path in found)

    def entries(self) -> list[str]:
        """Return the sorted names of all that lies directly below the root, of whatever kind."""
        if not self.is_local:
            return sorted({name.split("/")[0] for name in self.list()})
        root = Path(self.path())
        return sorted(path.name for path in root.iterdir()) if root.is_dir() else []

    def list(self, prefix: str = "") -> list[str]:
        """Return the sorted names of all files below `prefix`, temporary ones left out.

        On a local disk, links to files and folders are followed.
        """
        base = self.path(prefix)
        if self.is_local:
            found = [str(path) for path in files_below(Path(base))]
        else:
            found = [str(path) for path in self._target[0].find(base)]
        start = len(self._target[1]) + 1
        names = [path[start:] for path in found]
        return sorted(name for name in names if not _is_hidden(name))

    def remove_temporaries(self) -> None:
        """Delete the temporary files and folders of killed writers.

        Call it only while holding the run lock: it would also delete files that are being written.
        """
        if self.is_local:
            for path in temporaries_below(Path(self.path())):
                remove_path(path)

    def state(self, name: str) -> str | None:
        """Return a text that changes with the size and the time of change of a file.

        Returns: None if there is no such file.
        """
        if self.is_local:
            with suppress(OSError):
                status = Path(self.path(name)).stat()
                return f"{status.st_size} {status.st_mtime_ns}"
            return None
        with suppress(FileNotFoundError, NotADirectoryError):
            info = self._target[0].info(self.path(name))
            marks = [str(info.get(key, "")) for key in CHANGE_MARKS]
            return " ".join([str(info["size"]), *marks])
        return None

    def size(self, name: str) -> int:
        """Return the size of a file in bytes."""
        return int(self._target[0].size(self.path(name)))

    def remove_empty_folders(self, names: Iterable[str]) -> None:
        """Delete the folders of files that are gone, as far as nothing else is in them."""
        if not self.is_local:
            return  # an object store has no folders
        root = Path(self.path())
        for name in names:
            for folder in Path(self.path(name)).parents:
                if folder == root or folder.is_symlink():
                    break
                with suppress(OSError):  # it is not empty, or gone
                    folder.rmdir()

    def move(self, name: str, new_name: str) -> None:
        """Give a file another name, also where that is on another disk."""
        if not self.is_local:
            self._target[0].mv(self.path(name), self.path(new_name))
            return
        place = Path(self.path(new_name))
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(self.path(name), place)

    def remove(self, name: str) -> None:
        """Delete the file or directory tree `name` if it is there."""
        if self.is_local:
            remove_path(Path(self.path(name)))
            return
        with suppress(FileNotFoundError):
            self._target[0].rm(self.path(name), recursive=True)
