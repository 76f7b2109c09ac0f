"""The state of a stage in words, as the terminal and the page show it."""

from otcondense.counts import counted
from otcondense.durations import duration
from otcondense.store import StageProgress

SILENT_SECONDS = 60.0
"""After this many seconds without news, a stage has ended or does one long step."""


EARLIER = "finished earlier"
"""Of work that an earlier start has finished, so that it took no time."""


def earlier_part(finished: int, total: int, noun: str) -> str:
    """Return how much was finished before this start, as the end of a sentence; empty for nothing.

    Args:
        finished: how many were.
        total: how many there are.
        noun: what they are, for one.
    """
    if not finished:
        return ""
    return f", {EARLIER}" if finished == total else f", {counted(finished, noun)} {EARLIER}"


def is_earlier(stage: StageProgress) -> bool:
    """Tell whether an earlier start had finished all work of a stage."""
    return stage.finished and 0 < stage.total <= stage.before


def stage_state(stage: StageProgress, now: float) -> str:
    """Return what a stage is doing, in words."""
    if stage.finished:
        failed = sum(unit.state == "failed" for unit in stage.units)
        ended = EARLIER if is_earlier(stage) else "finished"
        return f"{ended}, {failed} failed" if failed else ended
    silent = now - stage.updated
    return "running" if silent < SILENT_SECONDS else f"no news for {duration(silent)}"
