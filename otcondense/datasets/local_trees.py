"""All files below a folder of this machine, folder by folder, with threads.

Symbolic links must stay below the root unless the source allows more. Those that lead nowhere, or
back to a folder above them, are noted and not followed.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from otcondense.datasets.records import SourceConfig, resolved
from otcondense.datasets.trees import THREADS, Link, Tree, TreeBuilder
from otcondense.errors import InputError

DEEPEST_FOLDER = 100
"""Folders inside each other at most; links can make more of them than any disk has."""
NOWHERE = "a symbolic link that leads nowhere or to itself"
ABOVE = "a symbolic link to a folder that contains it"


def local_tree(source: SourceConfig, root: Path) -> Tree:
    """Return all files below a folder of this machine.

    Raises: InputError for a link that leads out of the root, with the number of such links, for
        folders too deep, and for a name that is no text.
    """
    start = resolved(root)
    walk = _Walk(source, str(start))
    builder = TreeBuilder(str(start))
    visits = [_Visit("", str(start), frozenset({str(start)}))]
    with ThreadPoolExecutor(THREADS) as pool:
        while visits:
            inner: list[_Visit] = []
            # Results come in the order of the folders, whichever is read first. They become columns
            # in this thread: Arrow keeps some megabytes for each thread that uses it.
            for found in pool.map(walk.scan, visits):
                folder = builder.add(found.name, found.files, found.inner, found.links)
                inner += [found.inner[name] for name in folder.folders]
            visits = inner
    walk.refuse_links_out()
    return builder.tree(str(start).rstrip("/"))


@dataclass(frozen=True)
class _Visit:
    """A folder to read."""

    name: str
    path: str
    above: frozenset[str]
    """The real folders on the way down, this one included."""


@dataclass(frozen=True)
class _Scanned:
    """What a folder holds."""

    name: str
    files: list[tuple[str, int, int]] = field(default_factory=list)
    """Name, size and time of change of each file."""
    links: list[Link] = field(default_factory=list)
    """Links that are not followed."""
    inner: dict[str, _Visit] = field(default_factory=dict)
    """The folders in it by name."""


@dataclass(frozen=True)
class _Walk:
    """The walk through a tree."""

    source: SourceConfig
    root: str
    outside: list[tuple[str, str]] = field(default_factory=list)
    """Links that lead out of the root, and where they lead."""

    def scan(self, visit: _Visit) -> _Scanned:
        """Read one folder."""
        found = _Scanned(visit.name)
        with os.scandir(visit.path) as entries:
            for entry in entries:
                real: str | None = entry.path
                if entry.is_symlink():
                    real = self._followed(visit, entry, found.links)
                if real is None:
                    continue
                if entry.is_dir():
                    found.inner[entry.name] = self._below(visit, entry, real)
                else:
                    status = entry.stat()
                    found.files.append((entry.name, status.st_size, status.st_mtime_ns))
        return found

    def _followed(self, visit: _Visit, entry: os.DirEntry[str], links: list[Link]) -> str | None:
        """Return the real path of a link, None if it is not followed."""
        name = f"{visit.name}/{entry.name}".lstrip("/")
        try:
            target = Path(entry.path).resolve(strict=True)
        except (OSError, RuntimeError):
            links.append(Link(name, NOWHERE))
            return None
        if not self.source.allow_links and not target.is_relative_to(self.root):
            self.outside.append((entry.path, str(target)))
            return None
        if str(target) in visit.above:
            links.append(Link(name, ABOVE))
            return None
        return str(target)

    def _below(self, visit: _Visit, entry: os.DirEntry[str], real: str) -> _Visit:
        if len(visit.above) > DEEPEST_FOLDER:
            raise InputError(
                f"folders of a source must be at most {DEEPEST_FOLDER} deep, found "
                f"{entry.path}; move its images up"
            )
        name = f"{visit.name}/{entry.name}".lstrip("/")
        return _Visit(name, entry.path, visit.above | {real})

    def refuse_links_out(self) -> None:
        """Refuse all links that lead out of the root at once."""
        if not self.outside:
            return
        link, target = min(self.outside)
        more = len(self.outside) - 1
        others = f", and {more} more links lead out" if more else ""
        raise InputError(
            f"{link} is a symbolic link out of {self.root} to {target}{others}; "
            "set source.allow_links=true if that is wanted"
        )
