"""Batches and noise prepared by a thread while the device computes."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import fields, is_dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")
DEPTH = 2
"""Batches prepared ahead: one is being read while one waits."""
POLL_SECONDS = 0.1
"""Time after which the thread checks again whether it is to stop."""


class Prefetcher(Generic[Item]):
    """Calls `make(step)` for consecutive steps in a thread, at most two steps ahead."""

    def __init__(self, make: Callable[[int], Item], steps: range, device: str) -> None:
        self._make = make
        self._steps = steps
        make_stream: Any = torch.cuda.Stream
        self._stream = make_stream(device) if device.startswith("cuda") else None
        self._ready: queue.Queue[tuple[Item, Any] | BaseException] = queue.Queue(DEPTH)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        context: Any = torch.cuda.stream(self._stream) if self._stream else nullcontext()
        try:
            with context:
                for step in self._steps:
                    if self._stop.is_set():
                        return
                    item = self._make(step)
                    if not self._offer((item, self._recorded())):
                        return
        except BaseException as error:  # noqa: BLE001 - raised again in take()
            self._offer(error)

    def _recorded(self) -> Any:
        """Return an event after all copies so far; None without a GPU."""
        return self._stream.record_event() if self._stream else None

    def _offer(self, item: tuple[Item, Any] | BaseException) -> bool:
        """Put one item into the queue; return False if the thread is to stop."""
        while not self._stop.is_set():
            try:
                self._ready.put(item, timeout=POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def take(self) -> Item:
        """Return the item of the next step; wait until it is made, but not for its copies."""
        found = self._ready.get()
        if isinstance(found, BaseException):
            raise found
        item, copied = found
        if self._stream:
            current = torch.cuda.current_stream()
            current.wait_event(copied)
            # The tensors were made on another stream: their memory must not be reused before this
            # stream has read them.
            for tensor in tensors_of(item):
                tensor.record_stream(current)
        return item

    def close(self) -> None:
        """Stop the thread."""
        self._stop.set()
        with suppress(queue.Empty):  # it may be waiting for room
            while True:
                self._ready.get_nowait()
        self._thread.join()


def tensors_of(item: Any) -> Iterator[Tensor]:
    """Yield every tensor in lists and dataclasses."""
    if isinstance(item, Tensor):
        yield item
    elif isinstance(item, list | tuple):
        for each in item:
            yield from tensors_of(each)
    elif is_dataclass(item):
        for field in fields(item):
            yield from tensors_of(getattr(item, field.name))


@contextmanager
def batches(
    make: Callable[[int], Item], steps: range, device: str, *, ahead: bool
) -> Iterator[Callable[[], Item]]:
    """Yield a function that returns `make(step)` for the next step.

    A thread calls `make` ahead of time if `ahead`.
    """
    if not ahead:
        waiting = iter(steps)
        yield lambda: make(next(waiting))
        return
    prefetcher = Prefetcher(make, steps, device)
    try:
        yield prefetcher.take
    finally:
        prefetcher.close()
