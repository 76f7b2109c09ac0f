"""How far each stage of a run is: what a page, a status line and the terminal show. One small file a stage, in `logs/`."""

from typing import Literal

from pydantic import Field, ValidationError

from otcondense.config import Config
from otcondense.errors import InputError
from otcondense.store.files import Store

PROGRESS_DIRECTORY = "logs/progress"
UnitState = Literal["queued", "running", "done", "failed", "skipped"]


class UnitProgress(Config):
    """How far one unit of work is, such as the selection of a class by a method."""

    name: str
    """Unique within its stage."""
    state: UnitState = "queued"
    """`skipped`: finished by an earlier start and recognised."""
    class_name: str = ""
    method: str = ""
    size: int = 0
    """Images that it is about: in the class, or in the batch."""
    step: str = ""
    """What is being done while it is running: read, cost matrix, greedy, swaps, rebuilds, lower bound, write."""
    chosen: int = 0
    """Images in the subset so far."""
    swaps: int = 0
    """Swaps so far."""
    objective: float | None = None
    """Of the subset so far."""
    measures: dict[str, float] = Field(default_factory=dict)
    """What is known of a finished selection, by the names of `selection_measures`."""
    started: float | None = None
    """Seconds since the epoch."""
    seconds: float | None = None
    """Time of the unit alone, once it is done or failed."""
    worker: str = ""
    """Host and process that works on it, or did last."""
    attempts: int = 0
    message: str = ""
    """Why it failed, or why it was queued again."""


class StageProgress(Config):
    """How far one stage is."""

    stage: str
    """What it works on, such as `train-sit-random`; the name of its file."""
    title: str
    unit: str
    """What is counted: image, class, step, batch."""
    done: int = Field(default=0, ge=0)
    """Finished ones, skipped and failed ones among them."""
    total: int = Field(default=0, ge=0)
    before: int = Field(default=0, ge=0)
    """How many of them were finished by an earlier start."""
    started: float = 0.0
    """Seconds since the epoch."""
    updated: float = 0.0
    finished: bool = False
    figures: dict[str, float] = Field(default_factory=dict)
    """What the progress bar shows beside the count, such as the loss."""
    units: tuple[UnitProgress, ...] = ()
    """In the order of work; empty where a stage only counts."""

    @property
    def eta_seconds(self) -> float | None:
        """Seconds that what is left takes at the speed so far; None where nothing is left, or nothing is known."""
        done, seconds = self.done - self.before, self.updated - self.started
        return (
            None
            if self.finished or done <= 0 or self.done >= self.total
            else seconds / done * (self.total - self.done)
        )


def progress_file(stage: str) -> str:
    """Return the name of the progress of a stage."""
    return f"{PROGRESS_DIRECTORY}/{stage.replace('/', '-')}.json"


def write_progress(store: Store, progress: StageProgress) -> None:
    """Write the progress of a stage, whole or not at all."""
    store.write_bytes(
        progress_file(progress.stage), progress.model_dump_json(exclude_defaults=True).encode()
    )


def read_progress(store: Store, name: str) -> StageProgress:
    """Return the progress stored under `name`.

    Raises: InputError if the file is damaged.
    """
    try:
        return StageProgress.model_validate_json(store.read_bytes(name))
    except ValidationError as error:
        raise InputError(
            f"{store.path(name)} is damaged ({error.error_count()} faults); it is written anew while the stage runs"
        ) from error


def read_all_progress(store: Store) -> list[StageProgress]:
    """Return the progress of every stage of a run that has begun, in the order in which they began.

    Raises: InputError if a file is damaged.
    """
    return sorted(
        (read_progress(store, name) for name in store.list(PROGRESS_DIRECTORY)),
        key=lambda stage: (stage.started, stage.stage),
    )
