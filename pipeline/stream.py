"""Where shards and classes are worked on: in this process, or by Ray Data on a cluster.

Only numbers of shards go to the workers, and only counts and reasons come back. Images and features
stay with the worker that reads and writes them.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import ray
from ray.data import ActorPoolStrategy, DataContext, Dataset

from otcondense.threads import one_thread
from pipeline.class_files import ClassGroup, write_classes
from pipeline.extraction_config import ExtractionConfig
from pipeline.failures import packed, raise_packed
from pipeline.resources import plan_resources
from pipeline.shard_worker import ShardActor, ShardResult, ShardWorker
from pipeline.shards import Shard
from pipeline.work import Extraction


class Here:
    """Works in this process, without a cluster."""

    def __init__(self, extraction: Extraction) -> None:
        self._extraction = extraction

    def encode(self, shards: Sequence[Shard]) -> Iterator[ShardResult]:
        """Encode shards; yields the result of each.

        Raises: what a worker raises.
        """
        with one_thread():
            worker = ShardWorker(self._extraction)
            for shard in shards:
                yield worker.encode(shard)

    def regroup(self, groups: Sequence[ClassGroup]) -> None:
        """Write the files of classes."""
        for group in groups:
            write_classes(self._extraction, group)


class OnCluster:
    """Works with Ray Data on the cluster of this process."""

    def __init__(self, extraction: Extraction, config: ExtractionConfig) -> None:
        listed: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        nodes = [node["Resources"] for node in listed if node["Alive"]]
        self._resources = plan_resources(config, nodes, uses_gpu=extraction.work.uses_gpu)
        self._config = config
        assigned = self._resources.gpus > 0
        given = replace(extraction, threads=self._resources.threads, assigned=assigned)
        # The listing is stored once on each node; workers see the same memory.
        self._extraction = ray.put(given)

    def encode(self, shards: Sequence[Shard]) -> Iterator[ShardResult]:
        """Encode shards in any order; yields the result of each when it is written.

        Raises: what a worker raises.
        """
        rows = self._rows([shard.row() for shard in shards])
        workers = min(self._resources.encoders, len(shards))
        results = rows.map(
            ShardEncoder,  # type: ignore[arg-type]
            fn_constructor_args=([self._extraction],),
            compute=ActorPoolStrategy(size=workers),
            num_cpus=self._resources.cpus,
            num_gpus=self._resources.gpus,
        )
        for row in results.iter_rows():
            yield ShardResult.of_row(row)

    def regroup(self, groups: Sequence[ClassGroup]) -> None:
        """Write the files of classes in any order."""
        rows = self._rows([group.row() for group in groups])
        results = rows.map(
            regroup_classes,  # type: ignore[arg-type]
            fn_args=([self._extraction],),
            num_cpus=1,
        )
        for row in results.iter_rows():
            raise_packed(row["error"])

    def _rows(self, rows: list[dict[str, Any]]) -> Dataset:
        """Return a data set with one block for each row, so that each is a task of its own."""
        context = DataContext.get_current().copy()
        context.enable_progress_bars = False
        context.execution_no_progress_timeout_s = self._config.stall_timeout_s
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        with DataContext.current(context):
            return ray.data.from_items(rows, override_num_blocks=len(rows))


class ShardEncoder(ShardActor):
    """The worker, which takes the extraction from the memory of its node."""

    def __init__(self, extraction: list[ray.ObjectRef[Extraction]]) -> None:
        super().__init__(ray.get(extraction[0]))


@lru_cache(maxsize=1)
def _known(extraction: "ray.ObjectRef[Extraction]") -> Extraction:
    found: Extraction = ray.get(extraction)
    return found


def regroup_classes(row: dict[str, Any], extraction: list[Any]) -> dict[str, Any]:
    """Write the files of the classes of a row, in a task."""
    try:
        write_classes(_known(extraction[0]), ClassGroup.of_row(row))
    except Exception as error:  # noqa: BLE001 - raised in the driver
        return {"error": packed(error)}
    return {"error": b""}
