"""Size and times of the files that were read: what has the same ones need not be read again.

They are hints and no part of the state, which depends on the rows alone: where a stamp is missing
or differs, the rows of the file are compared (`jobs/stream/taken.py`).
"""

from pathlib import Path

from pydantic import ValidationError

from otcondense.config import Config
from otcondense.errors import InputError
from otcondense.store import Store

NAME = "files.json"
"""File of the stamps."""


class Stamp(Config):
    """What every change of a file changes."""

    size: int
    """In bytes."""
    changed_ns: int
    """When content, name or rights last changed; unlike the time of the content, no program can
    set it."""

    @classmethod
    def of(cls, path: Path) -> "Stamp":
        """Return the stamp of a file."""
        found = path.stat()
        return cls(size=found.st_size, changed_ns=found.st_ctime_ns)


class Stamps(Config):
    """The stamps of the files of a stream, by their names."""

    files: dict[str, Stamp]


def read_stamps(store: Store) -> Stamps:
    """Return the stored stamps; none if they are missing or damaged."""
    try:
        return Stamps.model_validate(store.read_json(NAME))
    except (InputError, ValidationError, FileNotFoundError):
        return Stamps(files={})
