"""Waiting for new files, until there were none for some time or the user presses Ctrl-C."""

import signal
import time
from types import FrameType, TracebackType
from typing import Any

SECONDS_BETWEEN_LOOKS = 0.5
"""How often a folder is looked at; also the longest time until Ctrl-C is answered."""


class Waiting:
    """Looks at the clock and at Ctrl-C while a folder is followed.

    The first Ctrl-C ends the waiting: the subset is then written. A second one interrupts.
    """

    def __init__(self, idle: float | None) -> None:
        self.idle = idle
        self.is_stopped = False
        self._since = time.monotonic()
        self._before: Any = None

    def __enter__(self) -> "Waiting":
        self._before = signal.signal(signal.SIGINT, self._stop)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    @property
    def is_over(self) -> bool:
        """Whether nothing more is waited for."""
        late = self.idle is not None and time.monotonic() - self._since > self.idle
        return self.is_stopped or late

    def begin(self) -> None:
        """Begin to wait: something has come."""
        self._since = time.monotonic()

    def pause(self) -> None:
        """Wait a moment, if anything is waited for."""
        if not self.is_over:
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def _stop(self, _: int, __: FrameType | None) -> None:
        self.is_stopped = True
        signal.signal(signal.SIGINT, self._before)
