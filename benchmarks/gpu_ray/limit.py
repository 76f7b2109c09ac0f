"""Runs cases one after another and stops the one that the time runs out in."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from benchmarks.gpu_all.cases import Case, Setting
from benchmarks.gpu_all.records import Recorder
from benchmarks.gpu_all.runner import measure_case


class OutOfTimeError(Exception):
    """The time for all stages is used up."""


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise OutOfTimeError in the main thread if the `with` block takes longer."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise OutOfTimeError("stopped: the time for all stages is used up")

    kept = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, kept)


def run_cases(cases: Sequence[Case], setting: Setting, recorder: Recorder) -> None:
    """Measure the cases and write a line for each.

    Each needs the results of those before it: after one that fails, the others are skipped.
    """
    needed = ""
    for case in cases:
        if needed:
            recorder.write(case.name, skipped=f"it needs {needed}, which has no result")
        elif setting.left <= 0:
            recorder.write(case.name, skipped="no time was left")
        elif not _succeeds(case, setting, recorder):
            needed = case.name


def _succeeds(case: Case, setting: Setting, recorder: Recorder) -> bool:
    """Measure one case, write its line and tell whether it has figures."""

    def limited(inner: Setting) -> dict[str, object]:
        with alarm(inner.left):
            return case.measure(inner)

    return measure_case(Case(case.name, case.seconds, limited), setting, recorder)
