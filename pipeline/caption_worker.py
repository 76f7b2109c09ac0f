"""The worker that reads captions: pieces become files of units, or of pieces of large ones."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from otcondense.encoders import EncoderConfig
from otcondense.encoders.caption_model import CaptionModel
from otcondense.errors import InputError
from otcondense.store import (
    Store,
    fingerprint,
    read_array,
    read_fingerprint,
    read_table,
    write_table,
)
from otcondense.store.tables import array_column, array_field
from pipeline.caption_kinds import Arrays, CaptionKind
from pipeline.caption_work import PIECE_ROWS, CaptionPlan, CaptionWork, Piece, Unit
from pipeline.failures import packed, raise_packed


@dataclass(frozen=True, eq=False)
class CaptionJob:
    """All that a worker needs to know, the same for all workers."""

    work: CaptionWork
    kind: CaptionKind
    plan: CaptionPlan
    weights: str
    """Digest of the network."""
    assigned: bool | None = None
    """Whether the cluster gives each worker a GPU; None without a cluster."""

    @classmethod
    def of(cls, work: CaptionWork, kind: CaptionKind) -> "CaptionJob":
        """Return the job; the network is loaded once, on the CPU, to learn its digest.

        Raises: InputError and MissingInputError as `CaptionModel` and `CaptionWork.plan` do.
        """
        weights = CaptionModel(_on_cpu(kind.encoder), joint=kind.is_joint).sha256
        return cls(work, kind, kind.plan(work, weights), weights)

    def sent(self, *, assigned: bool) -> "CaptionJob":
        """Return the job for the workers of a cluster, without open files or connections."""
        work = replace(self.work, store=Store(self.work.store.root))
        return replace(self, work=work, assigned=assigned)

    def fingerprint_of(self, piece: Piece) -> str:
        """Return the fingerprint of the file of a piece."""
        unit = self.plan.units[piece.unit]
        return fingerprint([unit.expected, piece.part, piece.start, piece.stop])

    def is_finished(self, piece: Piece) -> bool:
        """Tell whether an earlier start wrote the file of a piece, and it is undamaged."""
        file = self.work.piece_file(piece)
        return read_fingerprint(self.work.store, file) == self.fingerprint_of(piece)

    def write(self, piece: Piece, arrays: Arrays) -> None:
        """Write the results of a piece: the file of its unit if it is all of it."""
        if self.plan.is_whole(piece):
            self.kind.write(self.work, self.plan.units[piece.unit], arrays)
            return
        fields = [array_field(name, values) for name, values in arrays.items()]
        columns = [array_column(values) for values in arrays.values()]
        write_table(
            self.work.store,
            self.work.piece_file(piece),
            pa.Table.from_arrays(columns, schema=pa.schema(fields)),
            fingerprint=self.fingerprint_of(piece),
        )

    def join(self, place: int) -> None:
        """Write the file of a unit from those of its pieces.

        Raises: InputError if the file of a piece is damaged.
        """
        store = self.work.store
        pieces = self.plan.pieces_of[place]
        tables = [read_table(store, self.work.piece_file(piece)) for piece in pieces]
        arrays = {}
        for name in tables[0].column_names:
            arrays[name] = np.concatenate([read_array(table, name) for table in tables])
        self.kind.write(self.work, self.plan.units[place], arrays)

    def unit_of(self, piece: Piece) -> Unit:
        """Return the unit of a piece."""
        return self.plan.units[piece.unit]


def _on_cpu(encoder: EncoderConfig) -> EncoderConfig:
    return encoder.model_copy(update={"device": "cpu"})


@dataclass(frozen=True)
class CaptionTask:
    """Pieces that a worker takes together: small classes are many."""

    pieces: tuple[Piece, ...]

    @property
    def size(self) -> int:
        """Number of captions."""
        return sum(piece.size for piece in self.pieces)

    def row(self) -> dict[str, Any]:
        """Return the task as a row of a data set."""
        return {"pieces": json.dumps([piece.number for piece in self.pieces])}

    @classmethod
    def of_row(cls, row: dict[str, Any], plan: CaptionPlan) -> "CaptionTask":
        """Return the task in a row."""
        return cls(tuple(plan.pieces[number] for number in json.loads(row["pieces"])))


def plan_tasks(pieces: Sequence[Piece]) -> Iterator[CaptionTask]:
    """Yield pieces in tasks of a bounded size, at least one in each."""
    together: list[Piece] = []
    size = 0
    for piece in pieces:
        if together and size + piece.size > PIECE_ROWS:
            yield CaptionTask(tuple(together))
            together = []
            size = 0
        together.append(piece)
        size += piece.size
    if together:
        yield CaptionTask(tuple(together))


class CaptionReader:
    """Works on tasks with one network. A task that is done again writes the same bytes.

    Raises: InputError if the weights have changed since the work was planned.
    """

    def __init__(self, job: CaptionJob) -> None:
        torch.set_num_threads(1)
        torch.backends.cudnn.deterministic = True
        self.job = job
        encoder = job.kind.encoder
        model = CaptionModel(encoder, joint=job.kind.is_joint, assigned=job.assigned)
        if model.sha256 != job.weights:
            raise InputError(
                f"the weights of {encoder.name} changed during the run; run the stage again"
            )
        self._reader = job.kind.reader(job.work, model)

    def work_on(self, task: CaptionTask) -> None:
        """Write the files of the pieces of a task.

        Raises: InputError if features are damaged, or an embedding has no direction.
        """
        for piece in task.pieces:
            texts = self.job.plan.texts(piece)
            arrays = self._reader.read(self.job.unit_of(piece), piece, texts)
            self.job.write(piece, arrays)


class ReaderActor:
    """The worker as an actor of Ray Data: a row in, a row out."""

    def __init__(self, job: list[Any]) -> None:
        import ray

        self._error = b""
        try:
            self._reader = CaptionReader(ray.get(job[0]))
        except Exception as error:  # noqa: BLE001 - raised in the driver
            # Ray Data would start an actor that fails again and again.
            self._error = packed(error)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Work on the task of a row; an error is returned, not raised."""
        error = self._error
        try:
            if not error:
                self._reader.work_on(CaptionTask.of_row(row, self._reader.job.plan))
        except Exception as found:  # noqa: BLE001 - raised in the driver
            error = packed(found)
        return {**row, "error": error}


def finished_task(row: dict[str, Any], plan: CaptionPlan) -> CaptionTask:
    """Return the finished task in a row.

    Raises: the error of the worker, if there was one.
    """
    raise_packed(row["error"])
    return CaptionTask.of_row(row, plan)
