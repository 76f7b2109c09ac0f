"""The state of a stage in words, as the terminal and the page show it."""

from collections.abc import Sequence

from otcondense.durations import duration
from otcondense.store import StageProgress

SILENT_SECONDS = 60.0
"""After this many seconds without news, a stage has ended or does one long step."""


def stage_state(stage: StageProgress, now: float) -> str:
    """Return what a stage is doing, in words."""
    if stage.finished:
        failed = sum(unit.state == "failed" for unit in stage.units)
        return f"finished, {failed} failed" if failed else "finished"
    silent = now - stage.updated
    return "running" if silent < SILENT_SECONDS else f"no news for {duration(silent)}"


def range_and_sum(counts: Sequence[int]) -> str:
    """Return numbers of images in words, such as "3 to 12 images a class, 520 in all"."""
    few, many = min(counts, default=0), max(counts, default=0)
    each = f"{few}" if few == many else f"{few} to {many}"
    return f"{each} images a class, {sum(counts)} in all"
