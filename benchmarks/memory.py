"""The largest memory of a process while it works."""

import resource
import threading
from pathlib import Path

POLL_S = 0.02
"""Seconds between two looks at the memory of this process."""
STATM = Path("/proc/self/statm")


class Peak:
    """The largest resident memory of this process within a `with` block."""

    def __init__(self) -> None:
        self.mebibytes = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._stop.wait(POLL_S):
            pages = int(STATM.read_text(encoding="ascii").split()[1])
            self.mebibytes = max(self.mebibytes, pages * resource.getpagesize() / 2**20)

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
