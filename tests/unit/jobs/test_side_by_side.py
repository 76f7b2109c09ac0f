"""Calls side by side: how many at a time, and what happens after an error."""

import threading

import pytest

from jobs.cluster.side_by_side import side_by_side


def test_calls_run_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=10)
    side_by_side([lambda: meeting.wait() and None] * 3, at_once=3)
    assert not meeting.broken


def test_one_at_a_time_keeps_the_order_and_the_thread() -> None:
    seen: list[tuple[int, int]] = []

    def call(number: int) -> None:
        seen.append((number, threading.get_ident()))

    side_by_side([lambda n=number: call(n) for number in range(3)], at_once=1)
    assert seen == [(number, threading.get_ident()) for number in range(3)]


def test_never_more_at_a_time_than_asked_for() -> None:
    running: list[int] = []
    most: list[int] = []
    lock = threading.Lock()

    def call() -> None:
        with lock:
            running.append(1)
            most.append(len(running))
        threading.Event().wait(0.02)
        with lock:
            running.pop()

    side_by_side([call] * 6, at_once=2)
    assert len(most) == 6
    assert max(most) <= 2


@pytest.mark.parametrize("at_once", [1, 2])
def test_after_an_error_running_calls_end_and_no_new_one_starts(at_once: int) -> None:
    ended: list[str] = []
    has_failed = threading.Event()

    def fail() -> None:
        has_failed.set()
        raise ValueError("diverged")

    def go_on() -> None:
        has_failed.wait(10)
        ended.append("running")

    first = [go_on] if at_once == 2 else []
    with pytest.raises(ValueError, match="diverged"):
        side_by_side([*first, fail, *[lambda: ended.append("new")] * 3], at_once)
    assert "running" in ended or at_once == 1
    assert ended.count("new") <= at_once - 1  # one may have been taken before the error was noted
