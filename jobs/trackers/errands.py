"""Work for one tracker in a thread of its own, given up at the first failure."""

import logging
import queue
import threading
from collections.abc import Callable

from jobs.trackers.shown import reason

LOG = logging.getLogger(__name__)
MOST_WAITING = 10_000
"""Values that may wait for a slow tracker: those of a day at one each 10 s."""
CLOSE_SECONDS = 90.0
"""How long the end of a command waits for a tracker, which may upload for 60 s."""
Action = Callable[[], None]


class Errands:
    """Actions that are done one after another, without the caller waiting.

    No method raises, and only `close` waits: a network that hangs must not stop a run. The first
    failure is one warning with its reason, and no further action is done.
    """

    def __init__(self, name: str, close_seconds: float = CLOSE_SECONDS) -> None:
        self._name = name
        self._close_seconds = close_seconds
        self._given_up = threading.Event()
        self._lock = threading.Lock()
        self._waiting: queue.Queue[Action | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._work, name=f"tracker-{name}", daemon=True)
        self._thread.start()

    def send(self, action: Action | None) -> None:
        """Do an action after those before it; None is the end."""
        try:
            self._waiting.put_nowait(action)
        except queue.Full:
            self.give_up(f"it does not answer, {MOST_WAITING:,} values wait")

    def close(self) -> bool:
        """Wait until everything is done, and return whether it was."""
        self.send(None)
        if not self._given_up.is_set():
            self._thread.join(self._close_seconds)
        if self._thread.is_alive():
            self.give_up(f"it does not answer within {self._close_seconds:g} s at the end")
        return not self._given_up.is_set()

    def give_up(self, why: str) -> None:
        """Do nothing more."""
        with self._lock:
            if self._given_up.is_set():
                return
            self._given_up.set()
        LOG.warning("%s is given up, the run goes on without it: %s", self._name, why)

    def _work(self) -> None:
        while (action := self._waiting.get()) is not None:
            if self._given_up.is_set():
                continue
            try:
                action()
            except BaseException as error:  # noqa: BLE001 - libraries raise SystemExit too
                self.give_up(reason(error))
