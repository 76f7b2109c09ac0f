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

    Within the block the first signal only changes the answer; a second one interrupts at once. A
    signal that comes too late for an answer, as in the last step, interrupts after the block.

    Raises: KeyboardInterrupt.
    """
    if threading.current_thread() is not threading.main_thread():
        yield never
        return
    asked: list[int] = []  # an Event has a lock, on which a second signal would wait forever

    def remember(number: int, frame: Any) -> None:
        asked.append(number)
        if asked[1:]:
            interrupt(number, frame)

    earlier = {number: signal.getsignal(number) for number in NUMBERS}
    changed = [number for number in NUMBERS if earlier[number] in OURS]
    for number in changed:
        signal.signal(number, remember)
    try:
        yield lambda: bool(asked)
    finally:
        for number in changed:
            signal.signal(number, earlier[number])
    if asked:
        interrupt()
