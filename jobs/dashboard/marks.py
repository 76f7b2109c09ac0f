"""Images that somebody marks on the page: to keep, or to reject, in the next selection.

A file of marks is named by its content and never changed: the configuration that uses one stays
valid while the next is made.
"""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from jobs.run_directory.budgets import forced_ids
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.config import Config
from otcondense.errors import InputError
from otcondense.store import hash8

FOLDER = "marks"
MOST_MARKS = 20_000
"""Images in a file: more than anybody marks by hand, few enough for a page."""
MOST_FILES = 500
"""Files of a run: users of the page must not fill the disk."""
LONGEST_ID = 1000
"""Characters of an id."""


class Marks(Config):
    """Marked images."""

    include: tuple[str, ...] = Field(default=(), max_length=MOST_MARKS)
    """Ids of the images to choose in any case."""
    exclude: tuple[str, ...] = Field(default=(), max_length=MOST_MARKS)
    """Ids of the images that must not be chosen."""


class MarksView(Config):
    """What the page knows before somebody marks an image."""

    marks: Marks = Marks()
    """Those of the configuration."""
    command: str
    """Selects again; the settings with the marks follow."""
    writes: bool
    """Whether the page writes files of marks."""
    reason: str = ""
    """Why no image can be marked; empty if some can."""


class Written(Config):
    """A file of marks that was written."""

    file: str
    """Path of the file; empty if no image is marked any more."""
    command: str
    """Selects again with the marks."""


def marks_view(run: Run, *, writes: bool) -> MarksView:
    """Return the marks of the configuration, and how to select again.

    Args:
        run: the run.
        writes: whether the page may write.
    """
    command = select_again(run)
    try:
        marks = _of_configuration(run)
    except (InputError, OSError) as error:
        reason = f"The images of this run cannot be listed from here: {error}"
        return MarksView(command=command, writes=False, reason=reason)
    if max(len(marks.include), len(marks.exclude)) > MOST_MARKS:
        reason = f"Lists of more than {MOST_MARKS:,} images cannot be changed on the page."
        return MarksView(command=command, writes=False, reason=reason)
    return MarksView(marks=marks, command=command, writes=writes and can_write(run))


def _of_configuration(run: Run) -> Marks:
    """Return the images of `include` and `exclude`; those of `start` stay in their own file."""
    selection = run.config.selection.model_copy(update={"start": None})
    plain = Run(run.config.model_copy(update={"selection": selection}))
    included, excluded = forced_ids(plain)
    return Marks.model_construct(include=tuple(included), exclude=tuple(excluded))


def select_again(run: Run) -> str:
    """Return the command that selects again; settings follow."""
    return shlex.join(["otcondense", "select_subset", run.config.run])


def can_write(run: Run) -> bool:
    """Tell whether the run is a local directory that this process may write."""
    if not run.store.is_local:
        return False
    root = Path(run.store.path())
    folder = root / FOLDER
    return os.access(folder if folder.is_dir() else root, os.W_OK)


def write_marks(run: Run, marks: Marks) -> Written:
    """Write a file of marks, whole or not at all, unless it is there or no image is marked.

    Raises: InputError if an image is unknown or in both lists, or there are too many files.
    """
    _check(run, marks)
    values = marks.model_dump(mode="json")
    name = f"{FOLDER}/marks-{hash8(values)}.json"
    is_empty = not (marks.include or marks.exclude)
    if not is_empty and not run.store.exists(name):
        _check_folder(run)
        run.store.write_json(name, values)
    file = "" if is_empty else run.store.path(name)
    settings = shlex.join(_settings(run, marks, file))
    return Written(file=file, command=f"{select_again(run)} {settings}".rstrip())


def _settings(run: Run, marks: Marks, file: str) -> Iterator[str]:
    """Yield the settings that use a file of marks; a list that has become empty is emptied."""
    for which in ("include", "exclude"):
        if getattr(marks, which):
            yield f"selection.{which}={file}#{which}"
        elif getattr(run.config.selection, which):
            yield f"selection.{which}=[]"


def _check(run: Run, marks: Marks) -> None:
    given = [*marks.include, *marks.exclude]
    if max(map(len, given), default=0) > LONGEST_ID:
        raise InputError(f"an id must have at most {LONGEST_ID} characters, found a longer one")
    both = sorted(set(marks.include) & set(marks.exclude))
    if both:
        raise InputError(f"an image is kept or rejected, found {both[0]} in both lists")
    unknown = sorted(set(given) - run_listing(run).find(given).keys())
    if unknown:
        raise InputError(f"marks must name images of the run, found {unknown[0]}")


def _check_folder(run: Run) -> None:
    """Refuse a folder that is a link, or holds too many files."""
    folder = Path(run.store.path(FOLDER))
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"{folder} must be a folder, found a link or a file there; remove it")
    count = len(run.store.list(FOLDER))
    if count >= MOST_FILES:
        raise InputError(
            f"{folder} must have at most {MOST_FILES} files, found {count}; delete old ones"
        )
