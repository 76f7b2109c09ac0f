"""All files below a folder of this machine, folder by folder, with threads.

Symbolic links must stay below the root unless the source allows more. Those that lead nowhere, or
back to a folder above them, are noted and not followed.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from otcondense.datasets.records import SourceConfig, resolved
from otcondense.datasets.trees import THREADS, Columns, Folder, Link, Tree
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
    visits = [_Visit("", str(start), frozenset({str(start)}))]
    folders: list[Folder] = []
    with ThreadPoolExecutor(THREADS) as pool:
        while visits:
            inner: list[_Visit] = []
            # Results come in the order of the folders, whichever is read first. They become columns
            # in this thread: Arrow keeps some megabytes for each thread that uses it.
            for scanned in pool.map(walk.scan, visits):
                folders.append(scanned.folder())
                inner += scanned.inner
            visits = inner
    walk.refuse_links_out()
    return Tree(str(start).rstrip("/"), sorted(folders, key=lambda each: each.name))


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

    visit: _Visit
    files: Columns
    links: list[Link]
    inner: list[_Visit]
    """The folders in it, sorted."""

    def folder(self) -> Folder:
        """Return the folder as columns."""
        names = (visit.path.rpartition("/")[2] for visit in self.inner)
        return self.files.folder(self.visit.name, self.visit.path, names, self.links)


@dataclass(frozen=True)
class _Walk:
    """The walk through a tree."""

    source: SourceConfig
    root: str
    outside: list[tuple[str, str]] = field(default_factory=list)
    """Links that lead out of the root, and where they lead."""

    def scan(self, visit: _Visit) -> _Scanned:
        """Read one folder."""
        columns = Columns()
        links: list[Link] = []
        inner: dict[str, _Visit] = {}
        with os.scandir(visit.path) as entries:
            for entry in entries:
                if entry.is_symlink():
                    real = self._followed(visit, entry, links)
                    if real is None:
                        continue
                else:
                    real = entry.path
                if entry.is_dir():
                    inner[entry.name] = self._below(visit, entry, real)
                else:
                    status = entry.stat()
                    columns.add(entry.name, status.st_size, status.st_mtime_ns)
        return _Scanned(visit, columns, links, [inner[name] for name in sorted(inner)])

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
            "set allow_links=true if that is wanted"
        )
