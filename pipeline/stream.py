"""Where shards and classes are worked on: in this process, or by Ray Data on a cluster.

Only numbers of shards go to the workers, and only counts and reasons come back. Images and features
stay with the worker that reads and writes them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import ray

from otcondense.threads import one_thread
from pipeline.class_files import ClassGroup, write_classes
from pipeline.cluster_config import ClusterConfig
from pipeline.crew import Crew
from pipeline.extraction_config import ExtractionConfig
from pipeline.failures import packed, raise_packed
from pipeline.shard_worker import ShardActor, ShardResult, ShardWorker
from pipeline.shards import Shard
from pipeline.work import Extraction

SHARDS_OF_A_GPU = 2
"""Shards that a worker with a GPU works on: while one is read or written, the GPU has the other."""


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

    def __init__(
        self, extraction: Extraction, config: ExtractionConfig, cluster: ClusterConfig
    ) -> None:
        self._crew = Crew.of(config, cluster, extraction.work.device)
        resources = self._crew.resources
        given = replace(extraction, threads=resources.threads, assigned=resources.gpus > 0)
        # The listing is stored once on each node; workers see the same memory.
        self._extraction = ray.put(given)

    def encode(self, shards: Sequence[Shard]) -> Iterator[ShardResult]:
        """Encode shards in any order; yields the result of each when it is written.

        Raises: what a worker raises.
        """
        rows = [shard.row() for shard in shards]
        at_once = SHARDS_OF_A_GPU if self._crew.resources.gpus else 1
        for row in self._crew.map(rows, ShardEncoder, [self._extraction], at_once=at_once):
            yield ShardResult.of_row(row)

    def regroup(self, groups: Sequence[ClassGroup]) -> None:
        """Write the files of classes in any order."""
        rows = self._crew.blocks([group.row() for group in groups])
        results = rows.map(
            regroup_classes,  # type: ignore[arg-type]
            fn_args=([self._extraction],),
            num_cpus=1,
        )
        for row in results.iter_rows():
            raise_packed(row["error"])


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
