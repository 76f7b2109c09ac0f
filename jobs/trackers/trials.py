"""Shows the trials of a sweep or comparison, each as a run with its values and metrics."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from jobs.command.progress import note
from jobs.run_directory.trackers_config import TrackersConfig
from jobs.trackers.chosen import TITLES, made, usable
from jobs.trackers.errands import Errands
from jobs.trackers.memory import Memory, memory_file
from jobs.trackers.shown import without_secrets
from jobs.trackers.tracker import Subject
from otcondense.store import Store


@dataclass(frozen=True)
class ShownTrial:
    """What trackers show of a trial that has ended."""

    key: str
    title: str
    values: Mapping[str, Any]
    """Its settings by the names of the space."""
    state: str
    metrics: Mapping[int, Mapping[str, float]]
    """By step; 0 for the subset itself."""


@dataclass(frozen=True)
class SweepShown:
    """Where the trials of one sweep are shown."""

    config: TrackersConfig
    store: Store
    title: str
    folder: str
    """Of the memories."""
    errands: Mapping[str, Errands]
    """By the name of the tracker."""

    def show(self, trial: ShownTrial) -> None:
        """Show a trial, unless it was shown as it is now."""
        for name, errands in self.errands.items():
            errands.send(partial(self._show, name, trial))

    def _show(self, name: str, trial: ShownTrial) -> None:
        memory = Memory(self.store, memory_file(f"{name}-{trial.key}", self.folder))
        if memory.knows("trial", asdict(trial)):
            return
        plain = without_secrets(trial.values)
        subject = Subject(trial.title, plain, self.store, self.title, memory.identity)
        tracker = made(name, self.config)
        memory.begin(tracker.start(subject))
        tracker.stage(trial.state)
        for step, values in trial.metrics.items():
            if values:
                tracker.values("metrics", values, step)
        tracker.finish(failed=trial.state == "failed")
        memory.is_new("trial", asdict(trial))
        memory.keep()


OPEN: list[SweepShown] = []
"""What shows the trials of this process's sweep: nothing, or one. Ray Tune's callbacks find it
here."""


@contextmanager
def trials_shown(
    config: TrackersConfig, store: Store, title: str, directory: str
) -> Iterator[None]:
    """Let `trial_shown` show trials while a sweep works.

    TensorBoard is left out: Ray Tune writes its files for each trial.

    Args:
        config: of the trackers.
        store: of the run.
        title: of the sweep.
        directory: of the sweep in the store.

    Raises: InputError if the package of a tracker is missing.
    """
    folder = trials_folder(directory)
    names = [name for name in usable(config, store, folder) if name != "tensorboard"]
    errands = {name: Errands(TITLES[name]) for name in names}
    opened = SweepShown(config, store, title, folder, errands)
    OPEN.append(opened)
    try:
        yield
    finally:
        OPEN.remove(opened)
        for name, each in errands.items():
            if each.close():
                note(TITLES[name], f"shows the trials of {title}")


def trials_folder(directory: str) -> str:
    """Return the folder of the memories of a sweep's trials."""
    return f"logs/{directory}/trackers"


def show_trials(trials: Sequence[ShownTrial]) -> None:
    """Show trials that have ended, each once over all starts of the sweep."""
    for opened in OPEN:
        for trial in trials:
            opened.show(trial)
