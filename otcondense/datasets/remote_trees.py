"""All files below a URI as columns, folder by folder."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from fsspec import AbstractFileSystem

from otcondense.datasets.access import file_system, reachable
from otcondense.datasets.records import SourceConfig
from otcondense.datasets.trees import THREADS, Columns, Folder, SourceFile, Tree
from otcondense.errors import InputError

NANOSECONDS = 1e9
"""In a second."""
TIMES = ("LastModified", "last_modified", "mtime", "updated", "created")
"""Names that stores give to the time of the last change: s3fs, adlfs, gcsfs and others."""


def remote_tree(source: SourceConfig) -> Tree:
    """Return all files below a URI.

    Raises: InputError if there are none, or the store does not answer.
    """
    filesystem, root = file_system(source.path)
    root = root.rstrip("/")
    folders: list[Folder] = []
    visits = [root]
    with reachable(source.path), ThreadPoolExecutor(THREADS) as pool:
        while visits:
            listed = pool.map(lambda path: _entries(filesystem, path), visits)
            scanned = [
                _folder(root, path, entries) for path, entries in zip(visits, listed, strict=True)
            ]
            folders += scanned
            visits = [f"{root}/{each.start}{name}" for each in scanned for name in each.folders]
    tree = Tree(filesystem.unstrip_protocol(root), sorted(folders, key=lambda each: each.name))
    if not len(tree):
        raise InputError(f"the image source {source.path} must hold images, found nothing there")
    return tree


def _folder(root: str, path: str, entries: list[dict[str, Any]]) -> Folder:
    columns = Columns()
    folders = []
    for info in entries:
        place = str(info["name"]).rstrip("/")
        name = place.rpartition("/")[2]
        if place == path:
            continue  # some stores list a folder as an object in itself
        if info["type"] == "directory":
            folders.append(name)
        else:
            columns.add(name, int(info["size"] or 0), changed_ns(info))
    return columns.folder(path[len(root) + 1 :], path, folders)


def _entries(filesystem: AbstractFileSystem, path: str) -> list[dict[str, Any]]:
    """Return what a folder holds now; a store may remember an earlier answer."""
    filesystem.invalidate_cache(path)
    try:
        return list(filesystem.ls(path, detail=True))
    except (FileNotFoundError, NotADirectoryError):
        return []
    finally:
        filesystem.invalidate_cache(path)


def remote_file(path: str) -> SourceFile:
    """Return one file of a store."""
    filesystem, inner = file_system(path)
    with reachable(path):
        info = filesystem.info(inner)
    name = inner.rsplit("/", 1)[-1]
    return SourceFile(name, filesystem.unstrip_protocol(inner), int(info["size"]), changed_ns(info))


def changed_ns(info: Mapping[str, Any]) -> int:
    """Return the time of change in ns since 1970 from what a store says, 0 if it does not."""
    changed = next((info[name] for name in TIMES if info.get(name)), 0)
    if isinstance(changed, str):
        changed = datetime.fromisoformat(changed)
    seconds = changed.timestamp() if isinstance(changed, datetime) else float(changed)
    return round(seconds * NANOSECONDS)
