"""All files below a folder as columns."""

import hashlib
import json
import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int32, Int64

from otcondense.datasets.parts import TEXT
from otcondense.errors import InputError

THREADS = 8
"""Folders that are read at the same time: a network answers each after a while."""
PART = 2**16
"""Names that are in memory as Python texts, before they become a column."""


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


@dataclass(frozen=True)
class Folder:
    """A folder, without its files."""

    name: str
    """Path relative to the root, with `/`; empty for the root."""
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


@dataclass(frozen=True, eq=False)
class Tree:
    """All files below a root."""

    root: str
    """Absolute path or URI, without a slash at its end."""
    folders: Sequence[Folder]
    """All folders, the root first."""
    names: pa.ChunkedArray
    """Names of the files in their folders."""
    folder: Int32[np.ndarray, " n"]
    """Number of the folder of each file."""
    size_bytes: Int64[np.ndarray, " n"]
    mtime_ns: Int64[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def tops(self) -> list[str]:
        """Names of the visible folders directly below the root."""
        return [name for name in self.folders[0].folders if not name.startswith(".")]

    @property
    def links(self) -> list[Link]:
        """Links that are not followed."""
        return [link for folder in self.folders for link in folder.links]

    @cached_property
    def _is_hidden(self) -> Bool[np.ndarray, " n"]:
        hidden = np.array([folder.is_hidden for folder in self.folders])
        starts = pc.starts_with(self.names, ".").to_numpy()
        return np.asarray(hidden[self.folder] | starts.astype(np.bool_))

    def are(self, suffixes: Iterable[str]) -> Bool[np.ndarray, " n"]:
        """Tell which files are not hidden and have one of these suffixes, in any case."""
        endings = "|".join(re.escape(suffix) for suffix in sorted(suffixes))
        found = pc.match_substring_regex(self.names, rf"(?is)^.+(?:{endings})$").to_numpy()
        return np.asarray(found.astype(np.bool_) & ~self._is_hidden)

    def paths(self, is_wanted: Bool[np.ndarray, " n"]) -> pa.LargeStringArray:
        """Return the paths of some files relative to the root."""
        starts = pa.array([folder.start for folder in self.folders], TEXT)
        names = self.names.filter(pa.array(is_wanted)).combine_chunks()
        folders = starts.take(pa.array(self.folder[is_wanted]))
        return pc.binary_join_element_wise(folders, names, pa.scalar("", TEXT))

    def files(self, is_wanted: Bool[np.ndarray, " n"]) -> list[SourceFile]:
        """Return some files; only for the few that hold others."""
        rows = np.flatnonzero(is_wanted)
        names = self.paths(is_wanted).to_pylist()
        sizes, times = self.size_bytes[rows].tolist(), self.mtime_ns[rows].tolist()
        return [
            SourceFile(name, f"{self.root}/{name}", size, changed)
            for name, size, changed in zip(names, sizes, times, strict=True)
        ]

    def named(self, names: Iterable[str]) -> list[SourceFile]:
        """Return the files that have one of these names, in whatever folder."""
        found = pc.is_in(self.names, value_set=pa.array(list(names), TEXT)).to_numpy()
        return self.files(found.astype(np.bool_))

    def top_files(self, names: Iterable[str]) -> dict[str, SourceFile]:
        """Return those files directly below the root that have one of these names."""
        return {file.name: file for file in self.named(names) if "/" not in file.name}

    def state(self) -> str:
        """Return the SHA-256 of the names, sizes and times of all files."""
        folders = [[each.name, each.folders, repr(each.links)] for each in self.folders]
        digest = hashlib.sha256(json.dumps([self.root, folders]).encode())
        for numbers in (self.folder, self.size_bytes, self.mtime_ns):
            digest.update(numbers.tobytes())
        for chunk in self.names.chunks:
            digest.update("\0".join(chunk.to_pylist()).encode())
        return digest.hexdigest()


class TreeBuilder:
    """A tree while it is read."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._folders: list[Folder] = []
        self._names: list[str] = []
        self._chunks: list[pa.Array] = []
        self._numbers = [array("q"), array("q"), array("q")]

    def add(
        self,
        name: str,
        files: Iterable[tuple[str, int, int]],
        folders: Iterable[str],
        links: Iterable[Link] = (),
    ) -> Folder:
        """Add a folder.

        Args:
            name: path relative to the root.
            files: name, size and time of change of each.
            folders: names of the folders in it.
            links: that are not followed.

        Raises: InputError if the name of a file or folder is no text.
        """
        inner = sorted(folders)
        _check_names(self._root, name, inner)
        by_name = sorted(files)
        _check_names(self._root, name, (file[0] for file in by_name))
        number = len(self._folders)
        for file, size, changed in by_name:
            self._names.append(file)
            for column, value in zip(self._numbers, (number, size, changed), strict=True):
                column.append(value)
            if len(self._names) == PART:
                self._flush()
        not_followed = tuple(sorted(links, key=lambda link: link.name))
        _check_names(self._root, "", (link.name for link in not_followed))
        self._folders.append(Folder(name, tuple(inner), not_followed))
        return self._folders[-1]

    def _flush(self) -> None:
        self._chunks.append(pa.array(self._names, TEXT))
        self._names = []

    def tree(self, root: str) -> Tree:
        """Return the tree below a root."""
        self._flush()
        folder, size, changed = (np.array(column, np.int64) for column in self._numbers)
        names = pa.chunked_array(self._chunks, TEXT)
        return Tree(root, self._folders, names, folder.astype(np.int32), size, changed)


def _check_names(root: str, folder: str, names: Iterable[str]) -> None:
    """Refuse names that are not text.

    Raises: InputError with the first one.
    """
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            path = "/".join(part for part in (root, folder, name) if part)
            raise InputError(f"the file name {path!r} is not valid UTF-8; rename it") from error
