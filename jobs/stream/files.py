"""The files of a stream, in the order in which they are read."""

import glob
import os
from dataclasses import dataclass
from pathlib import Path

from jobs.stream.stamps import Stamp
from otcondense.errors import InputError
from otcondense.near_names import near_path
from otcondense.reading import with_home

SUFFIXES = (".npy", ".npz", ".parquet")
STANDARD_INPUT = "-"
UNFINISHED = (".", "_")
"""Beginnings of names that are left alone: writers use them for files that are not whole yet."""
PATTERN = frozenset("*?[")


@dataclass(frozen=True)
class StreamFile:
    """A file of features."""

    name: str
    """Below the folder of the stream, else the path that the user or a pattern gives."""
    path: str
    stamp: Stamp | None
    """None for the standard input, which has none."""


def is_followed(source: str) -> bool:
    """Tell whether new files can appear in a source."""
    return source != STANDARD_INPUT and (bool(PATTERN & set(source)) or with_home(source).is_dir())


def list_files(source: str) -> list[StreamFile]:
    """Return the files of a source in the order of their names; none that is still being written.

    Raises: InputError if the source is no file of a known kind, no folder and no pattern.
    """
    path = with_home(source)
    if path.is_dir():
        return _in_folder(path)
    if path.is_file():
        return [_file(source, path)]
    if PATTERN & set(source):
        # The pattern may be absolute, which Path.glob refuses.
        found = sorted(glob.iglob(str(path), recursive=True))  # noqa: PTH207
        return [_file(each, Path(each)) for each in found if _is_whole(Path(each))]
    raise InputError(
        f"SOURCE must be a file, a folder, a pattern or -, found nothing at {source}"
        f"{near_path(path)}"
    )


def _in_folder(folder: Path) -> list[StreamFile]:
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if not each.startswith(UNFINISHED)]
        found += [Path(root, name) for name in names]
    whole = [path for path in found if path.suffix in SUFFIXES and _is_whole(path)]
    files = [_file(path.relative_to(folder).as_posix(), path) for path in whole]
    return sorted(files, key=lambda file: file.name)


def _is_whole(path: Path) -> bool:
    return not path.name.startswith(UNFINISHED) and path.is_file()


def _file(name: str, path: Path) -> StreamFile:
    if path.suffix not in SUFFIXES:
        raise InputError(
            f"a file of a stream must end in {', '.join(SUFFIXES)}, found {path}; "
            "write one with numpy.save, a row for each image"
        )
    return StreamFile(name, str(path), Stamp.of(path))
