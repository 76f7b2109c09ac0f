"""Lists of images in files: of ours, plain ones, and those that other tools write."""

from functools import lru_cache
from pathlib import Path

from jobs.run_directory.list_kinds import kind_of
from jobs.run_directory.list_records import NamedList
from otcondense.errors import InputError

LISTS_KEPT = 8
"""Lists that a process keeps, by file and time: names of results need them again and again."""
WORD_MARK = "#"
"""What separates a file from the list in it, as in samples.json#reject."""


def read_ids(path: str, setting: str) -> tuple[str, ...]:
    """Return the image ids, or names of files, that a file lists, each once, in its order.

    Args:
        path: local file: ids one per line, a JSON array, JSON lines, CSV or Parquet with a column
            of ids or paths, the samples of a FiftyOne data set, or the manifest of a subset.
            FILE#WORD takes a part of it: the column or the list called WORD, the rows whose column
            WORD is true, or those with the tag WORD.
        setting: that names the file, for messages.

    Raises: InputError if the file is missing, too large or damaged, or lists nothing.
    """
    file, word = _parts(path)
    try:
        state = Path(file).stat()
        changed = (state.st_mtime_ns, state.st_size)
    except (OSError, ValueError):
        changed = (0, 0)
    return _read(NamedList(file, word, setting), changed)


def _parts(path: str) -> tuple[str, str]:
    """Return the file and the word behind it; a file may have the mark in its name."""
    file, mark, word = path.rpartition(WORD_MARK)
    try:
        is_name = not mark or Path(path).exists()
    except (OSError, ValueError):
        is_name = True
    return (path, "") if is_name else (file, word)


@lru_cache(maxsize=LISTS_KEPT)
def _read(named: NamedList, _changed: tuple[int, int]) -> tuple[str, ...]:
    found = kind_of(named)(named)
    if not found:
        raise InputError(
            f"{named.setting} must list at least one image, found none in {named.shown}"
        )
    return tuple(dict.fromkeys(found))
