"""Images that a table names by their paths below a folder: checked, with their sizes and times."""

import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64

from otcondense.datasets.ids import UPWARDS
from otcondense.datasets.records import SourceConfig, image_path, is_remote, resolved

THREADS = 8
"""Threads that ask for the sizes of files: a network file system answers each after a while."""
PART = 4096
"""Files that a thread asks for at a time."""


def sizes_and_times(
    source: SourceConfig, root: str, names: pa.LargeStringArray
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """Return size and time of change of each file, zeros for remote and missing ones.

    The extraction finds a missing file when it reads it, and puts it in the quarantine.

    Args:
        source: the configuration.
        root: folder or URI below which the files lie.
        names: their paths below the root.

    Raises: InputError for a path that leads out of the root.
    """
    folder = source.model_copy(update={"path": root})
    for row in pc.indices_nonzero(pc.match_substring_regex(names, UPWARDS)).to_pylist():
        image_path(folder, names[row].as_py())
    found = np.zeros((2, len(names)), np.int64)
    if is_remote(root):
        return found[0], found[1]
    checked = _Folders(folder)
    starts = range(0, len(names), PART)
    with ThreadPoolExecutor(THREADS) as pool:
        parts = pool.map(lambda start: list(checked.states(names.slice(start, PART))), starts)
        for start, part in zip(starts, parts, strict=True):
            found[:, start : start + len(part)] = np.array(part, np.int64).T
    return found[0], found[1]


class _Folders:
    """The folders of files, each checked once: a link must not lead out of the source."""

    def __init__(self, folder: SourceConfig) -> None:
        self._source = folder
        self._root = resolved(Path(folder.path))
        self._inside: set[str] = set()

    def states(self, names: pa.LargeStringArray) -> Iterator[tuple[int, int]]:
        """Yield size and time of change of files."""
        for name in names.to_pylist():
            yield self._state(name)

    def _state(self, name: str) -> tuple[int, int]:
        place = self._root / name
        parent = name.rpartition("/")[0]
        if parent not in self._inside:
            image_path(self._source, name)
            self._inside.add(parent)
        try:
            status = place.lstat()
            if stat.S_ISLNK(status.st_mode):
                image_path(self._source, name)
                status = place.stat()
        except OSError:
            return 0, 0
        return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else (0, 0)
