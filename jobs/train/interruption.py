"""Ctrl-C while this process trains: the step ends first, so that its checkpoint can be written."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from jobs.command.exit import interrupt

NUMBERS = (signal.SIGINT, signal.SIGTERM)
OURS = (signal.default_int_handler, interrupt)
"""What answers these signals in our commands; other handlers stay, such as those of Ray."""


def never() -> bool:
    """Nobody asks a training to stop."""
    return False


@contextmanager
def stop_after_step() -> Iterator[Callable[[], bool]]:
    """Yield a question: whether Ctrl-C or the end of the process has been asked for.

    Within the block the first signal only changes the answer; a second one interrupts at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield never
        return
    asked = threading.Event()

    def remember(number: int, frame: Any) -> None:
        if asked.is_set():
            interrupt(number, frame)
        asked.set()

    earlier = {number: signal.getsignal(number) for number in NUMBERS}
    changed = [number for number in NUMBERS if earlier[number] in OURS]
    for number in changed:
        signal.signal(number, remember)
    try:
        yield asked.is_set
    finally:
        for number in changed:
            signal.signal(number, earlier[number])
