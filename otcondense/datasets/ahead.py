"""Work that is done by threads before its results are needed."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Full, Queue
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
LOOK_S = 0.1
"""Seconds after which a waiting thread looks whether it is still needed."""


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int, ahead: int
) -> Iterator[Result]:
    """Yield `function` of each item, in order, computed ahead by threads.

    Args:
        function: of one item.
        items: taken one after another, in the thread of the caller.
        threads: that compute.
        ahead: items that are taken before their results are needed, at most.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def taken_ahead(items: Iterable[Item], ahead: int) -> Iterator[Item]:
    """Yield items in order, taken one after another by a thread, at most `ahead` before their use.

    Raises: what taking an item raises, in its place.
    """
    taken: Queue[Future[Item] | None] = Queue(ahead)
    is_over = threading.Event()
    thread = threading.Thread(target=_take, args=(iter(items), taken, is_over), daemon=True)
    thread.start()
    try:
        while (item := taken.get()) is not None:
            yield item.result()
    finally:
        is_over.set()
        thread.join()


def _take(
    items: Iterator[Item], taken: "Queue[Future[Item] | None]", is_over: threading.Event
) -> None:
    """Put items into a queue until there are none, one fails or nobody takes them."""
    while not is_over.is_set():
        item: Future[Item] = Future()
        try:
            item.set_result(next(items))
        except StopIteration:
            _put(None, taken, is_over)
            return
        except BaseException as error:  # noqa: BLE001 - raised where the item is used
            item.set_exception(error)
        _put(item, taken, is_over)
        if item.exception() is not None:
            return


def _put(
    item: Future[Item] | None, taken: "Queue[Future[Item] | None]", is_over: threading.Event
) -> None:
    while not is_over.is_set():
        try:
            taken.put(item, timeout=LOOK_S)
        except Full:
            continue
        return
