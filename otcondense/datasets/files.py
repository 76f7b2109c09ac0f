"""The files below a source's root, local or remote.

Symbolic links must stay below the root unless the source allows more.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem

from otcondense.datasets.access import file_system, reachable
from otcondense.datasets.kinds import SOURCES
from otcondense.datasets.records import SourceConfig, is_remote, resolved
from otcondense.errors import InputError

NANOSECONDS = 1e9
"""In a second."""
DEEPEST_FOLDER = 100
"""Folders inside each other; each is a call inside the one before it."""


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

    @property
    def is_hidden(self) -> bool:
        """Whether the file or a folder above it has a name that starts with a dot."""
        return self.name.startswith(".") or "/." in self.name

    @property
    def suffix(self) -> str:
        """Suffix of the name in lower case, with its dot."""
        return os.path.splitext(self.name)[1].lower()  # noqa: PTH122 - also URIs


def list_tree(source: SourceConfig) -> tuple[list[str], list[SourceFile]]:
    """Return the folders directly below the root and all files below it.

    Raises: InputError if the root is missing, a link leaves it or leads to itself, or a name is not
        valid text.
    """
    return _remote_tree(source) if is_remote(source.path) else _local_tree(source)


def container_files(source: SourceConfig, suffix: str) -> tuple[list[SourceFile], list[str]]:
    """Return the files that hold the images, sorted by name, and the names of all other files.

    `source.path` is one such file or a folder of them.

    Raises: InputError as `list_tree` does, and if there is no such file.
    """
    if source.path.lower().endswith(suffix) and _is_file(source.path):
        return [_single_file(source.path)], []
    _, files = list_tree(source)
    wanted = [file for file in files if file.suffix == suffix and not file.is_hidden]
    if not wanted:
        raise InputError(
            f"{source.path} must be a {suffix} file or hold such files "
            f"(source.kind is {source.kind}), found {len(files)} others"
        )
    others = sorted({file.name for file in files} - {file.name for file in wanted})
    return sorted(wanted, key=lambda file: file.name), others


def source_state(source: SourceConfig) -> tuple[tuple[str, int, int], ...]:
    """Return path, size and time of change of every file of a source.

    The listing stays the same as long as the state does.

    Raises: InputError as `list_tree` does.
    """
    if _is_file(source.path):
        files = [_single_file(source.path)]
    else:
        _, files = list_tree(source)
    if source.class_names is not None and Path(source.class_names).is_file():
        files = [*files, _single_file(source.class_names)]
    return tuple((file.path, file.size_bytes, file.mtime_ns) for file in files)


def _is_file(path: str) -> bool:
    if not is_remote(path):
        return Path(path).is_file()
    filesystem, inner = file_system(path)
    with reachable(path):
        return bool(filesystem.isfile(inner))


def _single_file(path: str) -> SourceFile:
    if is_remote(path):
        filesystem, inner = file_system(path)
        with reachable(path):
            info = filesystem.info(inner)
        return _remote_file(filesystem, inner.rsplit("/", 1)[-1], inner, info)
    real = resolved(Path(path))
    status = real.stat()
    return SourceFile(real.name, str(real), status.st_size, status.st_mtime_ns)


def _local_tree(source: SourceConfig) -> tuple[list[str], list[SourceFile]]:
    root = resolved(Path(source.path))
    if not root.is_dir():
        found = "a file" if root.exists() else "nothing"
        raise InputError(
            f"the image source {source.path} must be a folder {SOURCES[source.kind].folder}, "
            f"found {found} there"
        )
    with os.scandir(root) as entries:
        folders = [entry.name for entry in entries if entry.is_dir()]
    shown = [name for name in folders if not name.startswith(".")]
    return shown, list(_walk(source, str(root), str(root), frozenset({str(root)})))


def _walk(
    source: SourceConfig, root: str, folder: str, above: frozenset[str]
) -> Iterator[SourceFile]:
    """Yield the files below `folder`.

    A link must not lead back to `above`, the real folders on the way down.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            _check_name(entry.path)
            real = _followed(source, root, entry.path) if entry.is_symlink() else entry.path
            if entry.is_dir():
                if real in above:
                    raise InputError(
                        f"{entry.path} is a symbolic link to a folder that contains it; "
                        "point it elsewhere"
                    )
                if len(above) > DEEPEST_FOLDER:
                    raise InputError(
                        f"folders of a source must be at most {DEEPEST_FOLDER} deep, found "
                        f"{entry.path}; move its images up"
                    )
                yield from _walk(source, root, entry.path, above | {real})
            else:
                status = entry.stat()
                name = entry.path[len(root.rstrip("/")) + 1 :]
                yield SourceFile(name, entry.path, status.st_size, status.st_mtime_ns)


def _check_name(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"the file name {path!r} is not valid UTF-8; rename it") from error


def _followed(source: SourceConfig, root: str, link: str) -> str:
    try:
        target = Path(link).resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{link} is a symbolic link that leads nowhere or to itself; point it elsewhere"
        ) from error
    if not source.allow_links and not target.is_relative_to(root):
        raise InputError(
            f"{link} is a symbolic link out of {root} to {target}; "
            "set allow_links=true if that is wanted"
        )
    return str(target)


def _remote_tree(source: SourceConfig) -> tuple[list[str], list[SourceFile]]:
    filesystem, root = file_system(source.path)
    root = root.rstrip("/")
    with reachable(source.path):
        found: dict[str, Any] = filesystem.find(root, detail=True)
    if not found:
        raise InputError(f"the image source {source.path} must hold images, found nothing there")
    files = [
        _remote_file(filesystem, path[len(root) + 1 :], path, info) for path, info in found.items()
    ]
    inner = [file.name for file in files if "/" in file.name]
    folders = {name.split("/", 1)[0] for name in inner if not name.startswith(".")}
    return sorted(folders), files


def _remote_file(
    filesystem: AbstractFileSystem, name: str, path: str, info: dict[str, Any]
) -> SourceFile:
    changed = info.get("LastModified", info.get("mtime", info.get("created")))
    seconds = changed.timestamp() if isinstance(changed, datetime) else float(changed or 0)
    nanoseconds = round(seconds * NANOSECONDS)
    return SourceFile(name, filesystem.unstrip_protocol(path), int(info["size"]), nanoseconds)
