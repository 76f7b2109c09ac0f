"""All files below a folder as columns."""

import hashlib
import json
import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int64

from otcondense.datasets.parts import TEXT
from otcondense.errors import InputError

THREADS = 8
"""Folders that are read at the same time: a network answers each after a while."""


@dataclass(frozen=True)
class SourceFile:
    """A file of a source."""

    name: str
    """Path relative to the root, with `/`."""
    path: str
    """Absolute path or URI."""
    size_bytes: int
    mtime_ns: int
    """Time of the last change in ns since 1970, 0 if the store does not know it."""


@dataclass(frozen=True)
class Link:
    """A symbolic link that is not followed."""

    name: str
    """Path relative to the root, with `/`."""
    reason: str
    """What it is: "a symbolic link that leads nowhere ..."."""


@dataclass(frozen=True, eq=False)
class Folder:
    """The files of one folder."""

    name: str
    """Path relative to the root, with `/`; empty for the root."""
    names: pa.LargeStringArray
    """Names of the files in the folder, sorted."""
    size_bytes: Int64[np.ndarray, " n"]
    mtime_ns: Int64[np.ndarray, " n"]
    folders: tuple[str, ...] = ()
    """Names of the folders in it, sorted."""
    links: tuple[Link, ...] = ()

    @property
    def top(self) -> str:
        """The folder directly below the root that this folder is or lies in."""
        return self.name.split("/", 1)[0]

    @property
    def is_hidden(self) -> bool:
        """Whether the folder or one above it has a name that starts with a dot."""
        return self.name.startswith(".") or "/." in self.name

    @property
    def start(self) -> str:
        """What stands in front of the names of its files, relative to the root."""
        return f"{self.name}/" if self.name else ""

    def paths(self, is_wanted: Bool[np.ndarray, " n"]) -> pa.LargeStringArray:
        """Return the paths of some files relative to the root."""
        names = self.names.filter(pa.array(is_wanted))
        return pc.binary_join_element_wise(pa.scalar(self.start, TEXT), names, pa.scalar("", TEXT))

    def are(self, suffixes: Iterable[str]) -> Bool[np.ndarray, " n"]:
        """Tell which files are not hidden and have one of these suffixes, in any case."""
        if self.is_hidden:
            return np.zeros(len(self.names), np.bool_)
        endings = "|".join(re.escape(suffix) for suffix in sorted(suffixes))
        found = pc.match_substring_regex(self.names, rf"(?is)^[^.].*(?:{endings})$")
        return np.asarray(found.to_numpy(zero_copy_only=False))


@dataclass(frozen=True, eq=False)
class Tree:
    """All files below a root."""

    root: str
    """Absolute path or URI, without a slash at its end."""
    folders: Sequence[Folder]
    """All folders, sorted by name."""

    @property
    def tops(self) -> list[str]:
        """Names of the visible folders directly below the root."""
        return [name for name in self.folders[0].folders if not name.startswith(".")]

    @property
    def links(self) -> list[Link]:
        """Links that are not followed."""
        return [link for folder in self.folders for link in folder.links]

    def __len__(self) -> int:
        return sum(len(folder.names) for folder in self.folders)

    def files(self, folder: Folder, is_wanted: Bool[np.ndarray, " n"]) -> list[SourceFile]:
        """Return some files of a folder; only for the few that hold others."""
        found = []
        for row in np.flatnonzero(is_wanted):
            name = f"{folder.start}{folder.names[row].as_py()}"
            size, changed = int(folder.size_bytes[row]), int(folder.mtime_ns[row])
            found.append(SourceFile(name, f"{self.root}/{name}", size, changed))
        return found

    def top_files(self, names: Iterable[str]) -> dict[str, SourceFile]:
        """Return those files directly below the root that have one of these names."""
        top = self.folders[0]
        is_wanted = pc.is_in(top.names, pa.array(list(names), TEXT))
        found = self.files(top, is_wanted.to_numpy(zero_copy_only=False))
        return {file.name: file for file in found}

    def state(self) -> str:
        """Return the SHA-256 of the names, sizes and times of all files."""
        digest = hashlib.sha256(self.root.encode())
        for folder in self.folders:
            names = folder.names.to_pylist()
            digest.update(json.dumps([folder.name, names, folder.folders]).encode())
            digest.update(folder.size_bytes.tobytes() + folder.mtime_ns.tobytes())
            digest.update(repr(folder.links).encode())
        return digest.hexdigest()


class Columns:
    """The files of a folder while it is read."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._sizes = array("q")
        self._times = array("q")

    def add(self, name: str, size_bytes: int, mtime_ns: int) -> None:
        """Add one file."""
        self._names.append(name)
        self._sizes.append(size_bytes)
        self._times.append(mtime_ns)

    def folder(
        self, name: str, where: str, folders: Iterable[str], links: Iterable[Link] = ()
    ) -> Folder:
        """Return the folder with its files sorted.

        Args:
            name: path relative to the root.
            where: path for messages.
            folders: names of the folders in it.
            links: that are not followed.

        Raises: InputError if the name of a file or folder is no text.
        """
        inner = sorted(folders)
        check_names(where, inner)
        check_names(where, sorted(self._names))
        names = pa.array(self._names, TEXT)
        order = pc.array_sort_indices(names)
        rows = order.to_numpy()
        return Folder(
            name,
            names.take(order),
            np.array(self._sizes, np.int64)[rows],
            np.array(self._times, np.int64)[rows],
            tuple(inner),
            tuple(sorted(links, key=lambda link: link.name)),
        )


def check_names(where: str, names: Iterable[str]) -> None:
    """Refuse names that are not text.

    Raises: InputError with the first one.
    """
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            path = f"{where}/{name}"
            raise InputError(f"the file name {path!r} is not valid UTF-8; rename it") from error
