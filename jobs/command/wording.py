"""The state of a stage in words, as the terminal and the page show it."""

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
