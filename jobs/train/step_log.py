"""The log of a running training, one line of JSON at a time: its writer and its reader."""

import json
import time
from collections.abc import Callable

from otcondense.diffusion.loss_lines import LoggedLine
from otcondense.store import Store
from otcondense.store.json_text import parse_lines

REMOTE_SECONDS = 20.0
"""Least time between two writes of the log to an object store, where each writes all of it, and
between two looks at it there: 2,000 lines are 0.6 MB."""


def step_log(directory: str) -> str:
    """Return the name of the log of a training."""
    return f"logs/{directory}/steps.jsonl"


class StepWriter:
    """Appends lines to the log: at once on a local disk, in groups to an object store."""

    def __init__(
        self, store: Store, directory: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._name = step_log(directory)
        self._clock = clock
        self._pending: list[str] = []
        self._written = clock()

    def add(self, line: LoggedLine) -> None:
        """Write one line; lines of one group are written with the last one."""
        self._pending.append(json.dumps(line.to_json()))
        if self._store.is_local or self._clock() - self._written >= REMOTE_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the lines that wait."""
        if self._pending:
            self._store.append_line(self._name, "\n".join(self._pending))
        self._pending = []
        self._written = self._clock()


class StepLog:
    """Reads the lines that are new since the last look, and only those."""

    def __init__(self, store: Store, directory: str) -> None:
        self._store = store
        self._name = step_log(directory)
        self._read = 0
        self.new_lines()

    def new_lines(self) -> list[LoggedLine]:
        """Return the whole lines that were added since the last call; broken ones are skipped."""
        whole, end, _ = self._store.read_tail(self._name, self._read).rpartition(b"\n")
        self._read += len(whole) + len(end)
        return parse_lines(whole, LoggedLine)
