"""The worker that embeds captions: a shard of them becomes a file, which the classes are made of.

The shards depend on the chosen images alone, never on the number of workers or on what an earlier
start finished.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from otcondense.errors import InputError
from otcondense.representations import REPRESENTATIONS_SCHEMA_VERSION, TextConfig, TextModel
from otcondense.representations.captions import EMBEDDING, MASK, TextRows
from otcondense.representations.tables import ClassTable, write_class_table
from otcondense.store import Store, fingerprint, read_array, read_fingerprint, read_table
from otcondense.store.tables import write_table
from pipeline.class_plan import ClassPlan
from pipeline.failures import packed, raise_packed
from pipeline.shards import FOLDER, Shard, images_per_shard


@dataclass(frozen=True, eq=False)
class CaptionExtraction:
    """All that a worker needs to know, the same for all workers."""

    root: str
    """Root of the run."""
    directory: str
    """Directory of the results, below the root."""
    config: TextConfig
    weights_sha256: str
    """Of the model."""
    rows: pa.Table
    """`image_id`, `sha256` and `caption` of the chosen images, by class."""
    assigned: bool | None = None
    """Whether the cluster gives each worker a GPU; None without a cluster."""

    @property
    def store(self) -> Store:
        """The run."""
        return Store(self.root)

    def shards(self) -> list[Shard]:
        """Return the shards: consecutive rows."""
        count = len(self.rows)
        size = images_per_shard(count, self.config.batch_size)
        starts = range(0, count, size)
        return [Shard(n, start, min(start + size, count)) for n, start in enumerate(starts)]

    def file_of(self, shard: Shard) -> str:
        """Return the name of the file of a shard."""
        return f"{self.directory}/{FOLDER}/{shard.number:06d}.parquet"

    def fingerprint_of(self, shard: Shard) -> str:
        """Return the fingerprint of a shard: of its images and captions, the model and settings."""
        part = self.rows.slice(shard.start, shard.stop - shard.start)
        contents = [part.column(name).to_pylist() for name in part.column_names]
        key = [REPRESENTATIONS_SCHEMA_VERSION, self.config.identity(), self.weights_sha256]
        return fingerprint([*key, contents])

    def is_finished(self, shard: Shard) -> bool:
        """Tell whether an earlier start wrote the file of a shard, and it is undamaged."""
        return read_fingerprint(self.store, self.file_of(shard)) == self.fingerprint_of(shard)


class CaptionWorker:
    """Embeds shards with one model. Embedding a shard again writes the same bytes.

    Raises: InputError if the weights have changed since the extraction was planned.
    """

    def __init__(self, extraction: CaptionExtraction) -> None:
        torch.set_num_threads(1)
        torch.backends.cudnn.deterministic = True
        self._extraction = extraction
        self._model = TextModel(extraction.config, assigned=extraction.assigned)
        if self._model.sha256 != extraction.weights_sha256:
            raise InputError(
                "the weights of the model for text changed during the run; run the stage again"
            )

    def encode(self, shard: Shard) -> None:
        """Write the file of one shard.

        Raises: InputError if an embedding is not finite.
        """
        extraction = self._extraction
        part = extraction.rows.slice(shard.start, shard.stop - shard.start)
        texts = part.column("caption").to_pylist()
        found = TextRows(*self._model.embed(texts, extraction.config.batch_size)).columns()
        write_table(
            extraction.store,
            extraction.file_of(shard),
            pa.Table.from_arrays(list(found.values()), schema=pa.schema(list(found))),
            fingerprint=extraction.fingerprint_of(shard),
        )


class CaptionActor:
    """The worker as an actor of Ray Data: a row in, a row out."""

    def __init__(self, extraction: list[Any]) -> None:
        import ray

        self._error = b""
        try:
            self._worker = CaptionWorker(ray.get(extraction[0]))
        except Exception as error:  # noqa: BLE001 - raised in the driver
            # Ray Data would start an actor that fails again and again.
            self._error = packed(error)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Embed the shard of a row; an error is returned, not raised."""
        shard = Shard(int(row["number"]), int(row["start"]), int(row["stop"]))
        error = self._error
        try:
            if not error:
                self._worker.encode(shard)
        except Exception as found:  # noqa: BLE001 - raised in the driver
            error = packed(found)
        return {**shard.row(), "error": error}


def shard_of(row: dict[str, Any]) -> Shard:
    """Return the finished shard in a row.

    Raises: the error of the worker, if there was one.
    """
    raise_packed(row["error"])
    return Shard(int(row["number"]), int(row["start"]), int(row["stop"]))


@lru_cache(maxsize=1)
def _shard_arrays(extraction: CaptionExtraction, shard: Shard) -> dict[str, np.ndarray]:
    """Return the arrays of a shard; the next class often lies in the same one."""
    table = read_table(extraction.store, extraction.file_of(shard))
    return {name: read_array(table, name) for name in (EMBEDDING, MASK)}


def write_class(extraction: CaptionExtraction, plan: ClassPlan, start: int) -> None:
    """Write the file of one class from the files of its shards.

    Args:
        extraction: the plan.
        plan: of the class.
        start: its first row.
    """
    rows = extraction.rows.slice(start, plan.size)
    stop = start + plan.size
    parts: dict[str, list[np.ndarray]] = {EMBEDDING: [], MASK: []}
    for shard in extraction.shards():
        if shard.start < stop and start < shard.stop:
            arrays_of_shard = _shard_arrays(extraction, shard)
            first, last = max(start, shard.start), min(stop, shard.stop)
            for name, found in parts.items():
                found.append(arrays_of_shard[name][first - shard.start : last - shard.start])
    arrays = {name: np.concatenate(found)[:, None] for name, found in parts.items()}
    table_of_class = ClassTable(
        class_name=plan.name,
        class_index=plan.index,
        image_ids=rows.column("image_id").to_pylist(),
        sha256=rows.column("sha256").to_pylist(),
        arrays=arrays,
    )
    facts = {"weights_sha256": extraction.weights_sha256}
    write_class_table(
        extraction.store, extraction.directory, table_of_class, facts, plan.fingerprint
    )
