"""Stops the processes that a failed start of Ray leaves behind."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil

GRACE_SECONDS = 2.0
"""Time to end after SIGTERM, before SIGKILL."""


@contextmanager
def children_stopped_on_failure() -> Iterator[None]:
    """Stop the processes started in this block, with all of theirs, if the block fails.

    Ray itself would stop them only when this process ends.
    """
    before = set(_children())
    try:
        yield
    except BaseException:
        _stop([child for child in _children() if child not in before])
        raise


def _children() -> list[psutil.Process]:
    return list(psutil.Process(os.getpid()).children())


def _stop(started: list[psutil.Process]) -> None:
    family = list(started)
    for each in started:
        with suppress(psutil.NoSuchProcess):
            family += each.children(recursive=True)
    _signal(family, psutil.Process.terminate)
    _, alive = psutil.wait_procs(family, timeout=GRACE_SECONDS)
    _signal(alive, psutil.Process.kill)
    psutil.wait_procs(alive, timeout=GRACE_SECONDS)


def _signal(processes: list[psutil.Process], send: Callable[[psutil.Process], None]) -> None:
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            send(each)
