"""The files that `source.path` names itself: one file, a pattern, or a list of both."""

import glob
import os
from pathlib import Path

from otcondense.datasets.access import file_system, reachable
from otcondense.datasets.records import SourceConfig, is_pattern, is_remote, resolved
from otcondense.datasets.remote_trees import changed_ns, remote_file
from otcondense.datasets.trees import SourceFile
from otcondense.errors import InputError


def named_files(source: SourceConfig) -> list[SourceFile] | None:
    """Return the files that a source names, sorted by name; None if it names a folder.

    Raises: InputError for a pattern that no file matches, and a file that is missing or not below
        the folder of all.
    """
    if not source.shards and not is_pattern(source.path):
        return [single_file(source.path)] if is_file(source.path) else None
    found: dict[str, SourceFile] = {}
    for path in source.shards or (source.path,):
        files = _remote(source, path) if is_remote(path) else _local(source, path)
        if not files:
            raise InputError(f"source.path must name files, found none at {path}")
        found |= {file.path: file for file in files}
    return sorted(found.values(), key=lambda file: file.name)


def folder_of(source: SourceConfig) -> str:
    """Return the absolute folder or URI below which the paths in the files of a source lie."""
    root = source.root
    if is_remote(root):
        return root.rpartition("/")[0] if is_file(root) else root.rstrip("/")
    path = resolved(Path(root))
    return str(path.parent if path.is_file() else path)


def folder_name(source: SourceConfig) -> str:
    """Return the name of the folder of a source, that of its one class if it has no labels."""
    return folder_of(source).rpartition("/")[2]


def is_file(path: str) -> bool:
    """Tell whether a path or URI is a file."""
    if not is_remote(path):
        return Path(path).is_file()
    filesystem, inner = file_system(path)
    with reachable(path):
        return bool(filesystem.isfile(inner))


def single_file(path: str) -> SourceFile:
    """Return a file, whose name is that in its folder."""
    if is_remote(path):
        return remote_file(path)
    real = resolved(Path(path))
    status = real.stat()
    return SourceFile(real.name, str(real), status.st_size, status.st_mtime_ns)


def _local(source: SourceConfig, path: str) -> list[SourceFile]:
    root = resolved(Path(source.root))
    paths = [path]
    if is_pattern(path):
        paths = glob.glob(path, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute ones
    files = []
    for each in sorted(paths):
        place = Path(os.path.abspath(each))  # noqa: PTH100 - a link keeps its own name
        place = resolved(place.parent) / place.name
        if place.is_dir():
            continue
        if not place.is_file():
            raise InputError(f"source.path must name files, found none at {each}")
        status = place.stat()
        name = _below(str(place), str(root), each)
        files.append(SourceFile(name, str(place), status.st_size, status.st_mtime_ns))
    return files


def _remote(source: SourceConfig, path: str) -> list[SourceFile]:
    filesystem, inner = file_system(path)
    _, root = file_system(source.root)
    filesystem.invalidate_cache()
    with reachable(path):
        if is_pattern(path):
            found = filesystem.glob(inner, detail=True)
        else:
            found = {inner: filesystem.info(inner)} if filesystem.isfile(inner) else {}
    return [
        SourceFile(
            _below(place, root.rstrip("/"), place),
            filesystem.unstrip_protocol(place),
            int(info["size"] or 0),
            changed_ns(info),
        )
        for place, info in sorted(found.items())
        if info["type"] == "file"
    ]


def _below(place: str, root: str, shown: str) -> str:
    """Return the name of a file relative to the root."""
    start = root.rstrip("/") + "/"
    if not place.startswith(start):
        raise InputError(
            f"all files of source.path must lie below {root}, found {shown}; "
            "give one folder, or a list with common folders"
        )
    return place[len(start) :]
