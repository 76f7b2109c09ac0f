"""Paths of a configuration that are spelled differently and lead to the same place."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from otcondense.reading import with_home

SCHEME = "://"
FILE = "file://"
APART = ("run",)
"""Settings whose spelling does not matter."""


def with_spelling_of(
    earlier: Mapping[str, Any], values: Mapping[str, Any], directory: str | None
) -> dict[str, Any]:
    """Return `values`, with each path that is also in `earlier` spelled as there.

    Args:
        earlier: an earlier configuration of the same run.
        values: a configuration.
        directory: where relative paths of the earlier one begin; None is the current directory.
    """
    spelled = dict(values)
    for key, value in values.items():
        other = earlier.get(key)
        if isinstance(value, dict) and isinstance(other, dict):
            spelled[key] = with_spelling_of(other, value, directory)
        elif key not in APART and is_same_path(value, other, directory):
            spelled[key] = other
    return spelled


def is_same_path(here: Any, there: Any, directory: str | None) -> bool:
    """Tell whether a path and an earlier one, relative to `directory`, lead to the same place."""
    if not isinstance(here, str) or not isinstance(there, str):
        return False
    return here == there or _absolute(here, None) == _absolute(there, directory)


def is_outside(path: str, folder: str) -> bool:
    """Tell whether a path is surely not in a folder.

    Of a relative and an absolute path that cannot be said: a run is opened from any directory.
    """
    if SCHEME in path:
        return True
    if _is_relative(path) != _is_relative(folder):
        return False
    return not Path(_absolute(path, None)).is_relative_to(_absolute(folder, None))


def is_elsewhere(path: str, directory: str | None) -> bool:
    """Tell whether a relative path leads nowhere from here, but somewhere from `directory`."""
    if directory is None or not _is_relative(path) or Path(path).exists():
        return False
    return (Path(directory) / path).exists()


def _is_relative(path: str) -> bool:
    return SCHEME not in path and not with_home(path).is_absolute()


def _absolute(path: str, directory: str | None) -> str:
    """Return the one spelling of a path or URI: absolute, without links, slash and `file://`."""
    path = path.removeprefix(FILE)
    if SCHEME in path:
        return path.rstrip("/")
    try:
        return str((Path(directory or ".") / with_home(path)).resolve())
    except (OSError, ValueError, RuntimeError):  # no path at all, or a circle of links
        return path
