"""The run that a directory holds now: a page stays open while the run is changed and started."""

import time
from threading import Lock

from jobs.run_directory.marker import MARKER
from jobs.run_directory.opening import read_run
from jobs.run_directory.run import Run
from otcondense.errors import InputError

CHECK_SECONDS = 1.0
"""Time between two looks at the marker: a page asks for several things at once."""


class FollowedRun:
    """A run whose configuration is read again when the marker of its directory changes.

    While a marker is missing or cannot be read, the last configuration stays.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._marker = self._read()
        self._version = 0
        self._due = 0.0
        self._lock = Lock()

    @property
    def run(self) -> Run:
        """The run as its directory says."""
        return self.current()[0]

    @property
    def version(self) -> int:
        """A number that rises with each change: what was read under another one is outdated."""
        return self.current()[1]

    def current(self) -> tuple[Run, int]:
        """Return the run and its version."""
        with self._lock:
            now = time.monotonic()
            if now >= self._due:
                self._due = now + CHECK_SECONDS
                self._follow()
            return self._run, self._version

    def _follow(self) -> None:
        marker = self._read()
        if marker is None or marker == self._marker:
            return
        try:
            run = read_run(self._run.config.run)
        except (InputError, OSError):
            return
        self._marker = marker
        if run.config != self._run.config:
            self._run = run
            self._version += 1

    def _read(self) -> bytes | None:
        try:
            return self._run.store.read_bytes(MARKER)
        except (InputError, OSError):
            return None
