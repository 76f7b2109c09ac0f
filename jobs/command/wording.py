"""The state of a stage in words, as the terminal and the page show it."""

from collections.abc import Sequence

from jobs.run_directory.last_command import LastCommand
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


def current_command(
    command: LastCommand | None, stages: Sequence[StageProgress]
) -> LastCommand | None:
    """Return the last command, or None if a stage gave news after its end.

    Another driver works then that notes no command, such as a program that calls a stage.
    """
    if command is None or not command.has_ended:
        return command
    return None if any(stage.updated > command.ended for stage in stages) else command


def is_at_rest(stage: StageProgress, command: LastCommand | None) -> bool:
    """Tell whether nobody works on an unfinished stage, as far as the last command tells."""
    if command is None or stage.finished:
        return False
    return command.has_ended or stage.updated < command.started


def place_of_end(command: LastCommand, stages: Sequence[StageProgress]) -> str:
    """Return the title of the stage in which a command ended; empty between two, and before."""
    if not command.has_ended:
        return ""
    begun = [each for each in stages if not each.finished and each.updated >= command.started]
    return max(begun, key=lambda each: each.updated).title if begun else ""


def seconds_left(stage: StageProgress, command: LastCommand | None) -> float | None:
    """Return the seconds until the end of a stage; None if unknown, or nobody works on it."""
    return None if is_at_rest(stage, command) else stage.eta_seconds


def stage_state(stage: StageProgress, now: float, command: LastCommand | None = None) -> str:
    """Return what a stage is doing, in words.

    Args:
        stage: the stage.
        now: seconds since the epoch.
        command: the last command on the run; None if it is unknown.
    """
    if command is not None and is_at_rest(stage, command):
        is_of_it = stage.updated >= command.started and command.state != "finished"
        return command.state if is_of_it else "not finished"
    if stage.finished:
        failed = sum(unit.state == "failed" for unit in stage.units)
        ended = EARLIER if is_earlier(stage) else "finished"
        lost = f", {stage.lost:,} of them cannot be read" if stage.lost else ""
        return f"{ended}, {failed} failed{lost}" if failed else f"{ended}{lost}"
    silent = now - stage.updated
    return "running" if silent < SILENT_SECONDS else f"no news for {duration(silent)}"
