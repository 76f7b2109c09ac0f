"""All files below a URI as columns, folder by folder."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from fsspec import AbstractFileSystem

from otcondense.datasets.access import file_system, reachable
from otcondense.datasets.records import SourceConfig
from otcondense.datasets.trees import THREADS, Folder, SourceFile, Tree, TreeBuilder
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
    builder = TreeBuilder(root)
    visits = [""]
    with reachable(source.path), ThreadPoolExecutor(THREADS) as pool:
        while visits:
            places = [f"{root}/{name}".rstrip("/") for name in visits]
            listed = pool.map(lambda place: _entries(filesystem, place), places)
            inner: list[str] = []
            for name, place, entries in zip(visits, places, listed, strict=True):
                folder = _add(builder, name, place, entries)
                inner += [f"{folder.start}{each}" for each in folder.folders]
            visits = inner
    tree = builder.tree(filesystem.unstrip_protocol(root))
    if not len(tree):
        raise InputError(f"the image source {source.path} must hold images, found nothing there")
    return tree


def _add(builder: TreeBuilder, name: str, place: str, entries: list[dict[str, Any]]) -> Folder:
    """Add a folder to a tree from what the store says of it."""
    files = []
    folders = []
    for info in entries:
        path = str(info["name"]).rstrip("/")
        if path == place:
            continue  # some stores list a folder as an object in itself
        if info["type"] == "directory":
            folders.append(path.rpartition("/")[2])
        else:
            files.append((path.rpartition("/")[2], int(info["size"] or 0), changed_ns(info)))
    return builder.add(name, files, folders)


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
