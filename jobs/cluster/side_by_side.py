"""Calls that run in threads, so that the main thread can be interrupted."""

import sys
import threading
from collections.abc import Callable, Sequence


def side_by_side(calls: Sequence[Callable[[], None]], at_once: int) -> None:
    """Make calls in their order, several at a time.

    After an error, no new call is made, and the running ones go on to their end.

    Args:
        calls: the calls.
        at_once: how many run at the same time; one runs in this thread.

    Raises: the first error.
    """
    if at_once == 1:
        for call in calls:
            call()
        return
    waiting = iter(calls)
    lock = threading.Lock()
    errors: list[BaseException] = []

    def take() -> Callable[[], None] | None:
        with lock:
            return None if errors else next(waiting, None)

    def work() -> None:
        while call := take():
            try:
                call()
            except BaseException as error:  # noqa: BLE001 - raised in the main thread
                errors.append(error)
                print(f"error: {error}; the others continue", file=sys.stderr, flush=True)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(at_once, len(calls)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
