"""Keeping computations to one CPU thread, so that sums do not depend on the number of cores."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[int]:
    """Keep torch to one thread while the block runs; yields the number of threads before."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield before
    finally:
        torch.set_num_threads(before)


@contextmanager
def one_thread_on(device: str) -> Iterator[None]:
    """Keep torch to one thread while the block runs, if it computes on a CPU."""
    if device != "cpu":
        yield
        return
    with one_thread():
        yield
