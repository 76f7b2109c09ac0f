"""What a tracker was shown at earlier starts, so that a resumed run goes on in the same place."""

from typing import Any

from pydantic import Field, ValidationError

from otcondense.config import Config
from otcondense.errors import InputError
from otcondense.store import Store, hash8

FOLDER = "logs/trackers"
"""Folder of the memories of a run: logs, as no result depends on them."""


def memory_file(name: str, folder: str = FOLDER) -> str:
    """Return the name of the memory of a tracker."""
    return f"{folder}/{name}.json"


class _Stored(Config):
    """The file of a memory."""

    identity: str = ""
    steps: dict[str, int] = Field(default_factory=dict)
    digests: dict[str, str] = Field(default_factory=dict)


class Memory:
    """What one tracker was shown."""

    def __init__(self, store: Store, file: str) -> None:
        """Read the memory; a missing or damaged one is empty.

        Args:
            store: of the run.
            file: its name.
        """
        self._store = store
        self._file = file
        stored = _read(store, file)
        self.identity = stored.identity
        """Name of the run in the tool; empty before the first start."""
        self._steps = dict(stored.steps)
        self._digests = dict(stored.digests)

    def begin(self, identity: str) -> None:
        """Note the name of the run in the tool; with another name, nothing was shown there."""
        if identity != self.identity:
            self.identity = identity
            self._steps.clear()
            self._digests.clear()
        self.keep()

    def is_new(self, name: str, value: Any) -> bool:
        """Note a value; return whether the last one of this name was another."""
        if self.knows(name, value):
            return False
        self._digests[name] = hash8(value)
        return True

    def knows(self, name: str, value: Any) -> bool:
        """Return whether the last value of this name is this one."""
        return self._digests.get(name) == hash8(value)

    def is_later(self, group: str, step: int) -> bool:
        """Note a step; return whether it comes after all steps of the group that were shown."""
        if step <= self._steps.get(group, -1):
            return False
        self._steps[group] = step
        return True

    def keep(self) -> None:
        """Write the file."""
        stored = _Stored(identity=self.identity, steps=self._steps, digests=self._digests)
        self._store.write_json(self._file, stored)


def _read(store: Store, file: str) -> _Stored:
    if not store.exists(file):
        return _Stored()
    try:
        return _Stored.model_validate(store.read_json(file))
    except (InputError, ValidationError):
        return _Stored()
