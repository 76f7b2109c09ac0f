"""What only a local file system has: links, temporary names, and things in the place of others."""

import errno
import logging
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LOG = logging.getLogger(__name__)
TEMPORARY_PREFIX = ".tmp-"
"""Names of unfinished files start with this."""
TEMPORARY = re.compile(re.escape(TEMPORARY_PREFIX) + "[0-9a-f]{32}")
"""Names that `temporary_path` makes; nothing else counts as left over."""
NO_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""Nothing there, a file in the place of a folder above it, and a link that leads to itself."""
DISPLACED = ".displaced-"
"""Start of the new name of what lay in the place of a file or folder of ours."""
SET_ASIDE = ".aside"
"""Folder of results that `--fresh` has taken away until its stage has ended well."""
HIDDEN = (TEMPORARY_PREFIX, DISPLACED, SET_ASIDE)
"""Starts of names that are never listed."""


def temporary_path(final: Path) -> Path:
    """Return a new temporary name in the folder of `final`."""
    return final.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"


@contextmanager
def write_whole(final: Path) -> Iterator[Path]:
    """Write a local file or folder whole or not at all.

    Gives a temporary path in the same directory; at the end of the `with` block it is renamed to
    `final`, or deleted if the block failed.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(final)
    try:
        yield temporary
        temporary.rename(final)
    finally:
        remove_path(temporary)


def write_file(root: Path, final: Path, data: bytes) -> None:
    """Write a file below `root` whole or not at all, as `open_whole` does."""
    with open_whole(root, final) as file:
        file.write(data)


@contextmanager
def open_whole(root: Path, final: Path) -> Iterator[IO[bytes]]:
    """Give a file below `root` to write, under a temporary name; flush it to the disk, rename it.

    A folder in its place, or a file in the place of one of its folders, is renamed, not deleted.
    """
    clear_place(root, final)
    temporary = temporary_path(final)
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(final)
    except OSError as error:
        if error.errno is None:  # not of the file system
            raise
        raise OSError(error.errno, error.strerror, str(final)) from error
    finally:
        temporary.unlink(missing_ok=True)


def append_line(root: Path, path: Path, line: str) -> None:
    """Append one line to a file below `root`.

    A line that a killed process left without its end is ended first.
    """
    clear_place(root, path)
    with path.open("ab+") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                line = f"\n{line}"
        file.write(f"{line}\n".encode())


def clear_place(root: Path, path: Path) -> None:
    """Make the folders of a file below `root`.

    What lies in the place of the file or of one of its folders is renamed. Above `root`, nothing
    is.
    """
    folders = list(reversed(path.parents))
    for folder in folders[folders.index(root) + 1 :]:
        if _is_there(folder) and not folder.is_dir():
            _displace(folder)
    if _is_there(path) and not is_file(path):
        _displace(path)
    path.parent.mkdir(parents=True, exist_ok=True)


def _is_there(path: Path) -> bool:
    """Tell whether there is something of this name, also a link that leads nowhere."""
    return os.path.lexists(path)


def _displace(path: Path) -> None:
    """Give what lies in the place of a file or folder of ours a new name beside it."""
    number = 1
    while _is_there(renamed := path.with_name(f"{DISPLACED}{number}-{path.name}")):
        number += 1
    path.rename(renamed)
    LOG.warning("%s lay in the place of a file or folder of the run; it is %s now", path, renamed)


def remove_path(path: Path) -> None:
    """Delete a file, a link or a folder tree if it is there; links are not followed."""
    if not _is_there(path):
        return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def is_file(path: Path) -> bool:
    """Tell whether a path leads to a regular file; a fault of the storage is raised.

    Newer versions of `Path.is_file` say no for every fault.
    """
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        if error.errno in NO_FILE:
            return False
        raise


def files_below(root: Path) -> Iterator[Path]:
    """Yield all regular files below a folder, also through links, without temporary ones.

    A link that leads to a folder above it is not followed.
    """
    if is_file(root):
        yield root
    for folder, _, files in _walk(root):
        for name in files:
            path = folder / name
            if not name.startswith(HIDDEN) and is_file(path):
                yield path


def temporaries_below(root: Path) -> list[Path]:
    """Return the temporary files and folders that killed writers have left below a folder."""
    found: list[Path] = []
    for folder, folders, files in _walk(root):
        names = [name for name in (*folders, *files) if TEMPORARY.fullmatch(name)]
        found += [folder / name for name in names]
    return found


def _walk(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Walk folders and links to folders; temporary folders are listed but not entered."""
    entered = {str(root): os.path.realpath(root)}
    for folder, folders, files in os.walk(root, followlinks=True):
        yield Path(folder), list(folders), files
        above = entered[folder]
        kept = []
        for name in folders:
            real = os.path.realpath(f"{folder}/{name}")
            is_circle = f"{above}/".startswith(f"{real}/")
            if not is_circle and not name.startswith(HIDDEN):
                entered[f"{folder}/{name}"] = real
                kept.append(name)
        folders[:] = kept
