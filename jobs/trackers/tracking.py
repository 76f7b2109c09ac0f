"""Shows a run in the trackers of its configuration while a command works on it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from jobs.run_directory.run import Run
from jobs.run_directory.stages import ALL
from jobs.trackers.chosen import couriers, usable
from jobs.trackers.memory import FOLDER
from jobs.trackers.run_shown import RunShown
from jobs.trackers.shown import without_secrets
from jobs.trackers.tracker import Subject
from otcondense.diffusion.loss_lines import LoggedLine

OPEN: list[RunShown] = []
"""What shows the run of this process's command: nothing, or one. Stages find it here: a run can be
opened again in the middle of a command. Processes of workers and trials have none."""


@contextmanager
def tracking(run: Run, verb: str) -> Iterator[None]:
    """Show a run while a command works on it; without trackers, do nothing.

    Args:
        run: the run, locked by this process.
        verb: the command, which is a stage or all of them.

    Raises: InputError if the package of a tracker is missing.
    """
    config = run.config.trackers
    names = usable(config, run.store, FOLDER)
    if not names:
        yield
        return
    plain = without_secrets(run.config.model_dump(mode="json"))
    subject = Subject(title_of(run), plain, run.store)
    opened = RunShown(run, list(couriers(names, config, subject)))
    OPEN.append(opened)
    failed = True
    try:
        with nullcontext() if verb == ALL else stage_shown(verb):
            yield
        failed = False
    finally:
        OPEN.remove(opened)
        opened.close(failed=failed)


def title_of(run: Run) -> str:
    """Return what trackers call a run: the last part of its path."""
    return run.store.root.rstrip("/").rpartition("/")[2]


@contextmanager
def stage_shown(stage: str) -> Iterator[None]:
    """Show that a stage works, and at its end its seconds and results."""
    started = time.perf_counter()
    for opened in OPEN:
        opened.begin(stage)
    try:
        yield
    finally:
        for opened in OPEN:
            opened.end(stage, time.perf_counter() - started)


def line_shown(model: str, subset: str, line: LoggedLine) -> None:
    """Show a line of the loss curve of a running training."""
    for opened in OPEN:
        opened.line(model, subset, line)
