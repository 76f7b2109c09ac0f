"""Progress of each stage of a run, for the page, the status and the terminal.

One small file for each stage, in `logs/`.
"""

from contextlib import suppress
from typing import Literal

from pydantic import Field, ValidationError

from otcondense.config import Config
from otcondense.errors import InputError
from otcondense.store.files import Store

PROGRESS_DIRECTORY = "logs/progress"
UnitState = Literal["queued", "running", "done", "failed", "skipped"]


class UnitProgress(Config):
    """Progress of one unit of work, such as the selection of a class by a method."""

    name: str
    """Unique within its stage."""
    state: UnitState = "queued"
    """`skipped`: already finished by an earlier start."""
    class_name: str = ""
    method: str = ""
    size: int = 0
    """Number of images: in the class, or in the batch."""
    budget: int = 0
    """Images to choose from the class."""
    step: str = ""
    """Step of a running unit: read, cost matrix, greedy, swaps, lower bound, rebuilds, write."""
    chosen: int = 0
    """Images in the subset so far."""
    swaps: int = 0
    """Swaps so far."""
    objective: float | None = None
    """Objective of the subset so far."""
    measures: dict[str, float] = Field(default_factory=dict)
    """Figures of a finished selection, by the names of `selection_measures`."""
    started: float | None = None
    """Seconds since the epoch."""
    seconds: float | None = None
    """Time of this unit, once it is done or failed."""
    worker: str = ""
    """Host and process of its worker, or of the last one."""
    attempts: int = 0
    message: str = ""
    """Reason why it failed, or is retried."""


class StageProgress(Config):
    """Progress of one stage."""

    stage: str
    """Name of the stage and of its file, such as `train-sit-random`."""
    title: str
    unit: str
    """Unit of the count: image, class, step, batch."""
    done: int = Field(default=0, ge=0)
    """Number of finished units, including skipped and failed ones."""
    total: int = Field(default=0, ge=0)
    lost: int = Field(default=0, ge=0)
    """Number of those that cannot be read."""
    before: int = Field(default=0, ge=0)
    """Number of units that an earlier start finished."""
    started: float = 0.0
    """Seconds since the epoch."""
    updated: float = 0.0
    finished: bool = False
    figures: dict[str, float] = Field(default_factory=dict)
    """Figures next to the count in the progress bar, such as the loss."""
    units: tuple[UnitProgress, ...] = ()
    """In the order of work; empty if a stage only counts."""

    @property
    def eta_seconds(self) -> float | None:
        """Seconds until the end at the speed so far; None at the end, or if unknown."""
        done = self.done - self.before
        left = self.total - self.done
        if self.finished or done <= 0 or left <= 0:
            return None
        return (self.updated - self.started) / done * left


def progress_file(stage: str) -> str:
    """Return the name of the progress of a stage."""
    return f"{PROGRESS_DIRECTORY}/{stage.replace('/', '-')}.json"


def write_progress(store: Store, progress: StageProgress) -> None:
    """Write the progress of a stage, whole or not at all."""
    text = progress.model_dump_json(exclude_defaults=True)
    store.write_bytes(progress_file(progress.stage), text.encode())


def read_progress(store: Store, name: str) -> StageProgress:
    """Return the progress stored under `name`.

    Raises: InputError if the file is damaged.
    """
    try:
        return StageProgress.model_validate_json(store.read_bytes(name))
    except ValidationError as error:
        raise InputError(
            f"{store.path(name)} is damaged ({error.error_count()} faults); "
            "it is rewritten while the stage runs"
        ) from error


def read_all_progress(store: Store) -> list[StageProgress]:
    """Return the progress of every stage of a run that has started, in the order of their starts.

    A damaged file counts as missing: the next start of its stage writes it again.
    """
    stages = []
    for name in store.list(PROGRESS_DIRECTORY):
        with suppress(InputError):
            stages.append(read_progress(store, name))
    return sorted(stages, key=lambda stage: (stage.started, stage.stage))
