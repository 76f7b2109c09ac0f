"""Progress of each stage of a run, for the page, the status and the terminal.

One small file for each stage, in `logs/`. A stage of very many units has a second file with all of
them, which is written less often; the small one then has those that have changed since.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from otcondense.config import Config
from otcondense.errors import InputError
from otcondense.store.files import Store

PROGRESS_DIRECTORY = "logs/progress"
UNITS_DIRECTORY = "logs/units"
"""Folder of the units of stages that have very many."""
UnitState = Literal["queued", "running", "done", "failed", "skipped"]


class UnitProgress(BaseModel):
    """Progress of one unit of work, such as the selection of a class by a method.

    It is no `Config`: the checks of what users write take 40 µs, and there can be 100,000 units.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

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


UNITS = TypeAdapter(tuple[UnitProgress, ...])


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
    has_units_file: bool = False
    """Whether all units are in a file of their own; the stored `units` have changed since."""

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


def units_file(stage: str) -> str:
    """Return the name of the units of a stage that has very many."""
    return f"{UNITS_DIRECTORY}/{stage.replace('/', '-')}.json"


def write_progress(store: Store, progress: StageProgress) -> None:
    """Write the progress of a stage, whole or not at all."""
    text = progress.model_dump_json(exclude_defaults=True)
    store.write_bytes(progress_file(progress.stage), text.encode())


def write_units(store: Store, stage: str, units: Sequence[UnitProgress]) -> None:
    """Write all units of a stage, in the order of work, whole or not at all."""
    store.write_bytes(units_file(stage), UNITS.dump_json(tuple(units), exclude_defaults=True))


def read_progress(store: Store, name: str) -> StageProgress:
    """Return the progress stored under `name`, with all units.

    If a file of units is damaged or lost, those that have changed lately are left.

    Raises: InputError if the file is damaged.
    """
    try:
        with _without_collection():
            stage = StageProgress.model_validate_json(store.read_bytes(name))
        return _with_all_units(store, stage) if stage.has_units_file else stage
    except ValidationError as error:
        raise InputError(
            f"{store.path(name)} is damaged ({error.error_count()} faults); "
            "it is rewritten while the stage runs"
        ) from error


def _with_all_units(store: Store, stage: StageProgress) -> StageProgress:
    name = units_file(stage.stage)
    units = {unit.name: unit for unit in _stored_units(store, name, store.state(name))}
    units |= {unit.name: unit for unit in stage.units}
    return stage.model_copy(update={"units": tuple(units.values())})


@lru_cache(maxsize=1)
def _stored_units(store: Store, name: str, state: str | None) -> tuple[UnitProgress, ...]:
    """Return the units of a file; it is parsed once for each `state`, which is of the file."""
    if state is None:
        return ()
    with suppress(ValidationError, OSError), _without_collection():
        return UNITS.validate_json(store.read_bytes(name))
    return ()


@contextmanager
def _without_collection() -> Iterator[None]:
    """Keep the garbage collector still: it would look at each of 100,000 new objects many times."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def read_all_progress(store: Store) -> list[StageProgress]:
    """Return the progress of every stage of a run that has started, in the order of their starts.

    A damaged file counts as missing: the next start of its stage writes it again.
    """
    stages = []
    for name in store.list(PROGRESS_DIRECTORY):
        with suppress(InputError):
            stages.append(read_progress(store, name))
    return sorted(stages, key=lambda stage: (stage.started, stage.stage))
