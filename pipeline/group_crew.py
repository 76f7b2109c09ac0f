"""Where the tasks of a grouping run: in this process, or as tasks of Ray Data on a cluster.

A task gets the plan, which lies once on each node, and its own cells. Counts come back.
"""

import pickle
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import ray

from pipeline.cluster_config import ClusterConfig
from pipeline.crew import Crew
from pipeline.extraction_config import ExtractionConfig
from pipeline.failures import packed, raise_packed
from pipeline.group_plan import GroupPlan

Work = TypeVar("Work")
Result = TypeVar("Result")


class GroupCrew(Protocol):
    """Runs the tasks of a grouping."""

    def map(
        self, task: Callable[[GroupPlan, Work], Result], works: Sequence[Work]
    ) -> Iterator[tuple[Work, Result]]:
        """Yield each piece of work and its result, in any order.

        Raises: what a task raises.
        """
        ...


class Here:
    """Runs the tasks in this process, one after another."""

    def __init__(self, plan: GroupPlan) -> None:
        self._plan = plan

    def map(
        self, task: Callable[[GroupPlan, Work], Result], works: Sequence[Work]
    ) -> Iterator[tuple[Work, Result]]:
        """Yield each piece of work and its result, in order."""
        for work in works:
            yield work, task(self._plan, work)


class OnCluster:
    """Runs the tasks with Ray Data, each on one CPU."""

    def __init__(self, plan: GroupPlan, config: ExtractionConfig, cluster: ClusterConfig) -> None:
        self._crew = Crew.of(config, cluster, "cpu")
        self._plan = ray.put(plan)

    def map(
        self, task: Callable[[GroupPlan, Work], Result], works: Sequence[Work]
    ) -> Iterator[tuple[Work, Result]]:
        """Yield each piece of work and its result, in any order."""
        if not works:
            return
        rows = [{"place": place, "work": pickle.dumps(work)} for place, work in enumerate(works)]
        results = self._crew.blocks(rows).map(
            run_task,  # type: ignore[arg-type]
            fn_args=([self._plan], task),
            num_cpus=1,
        )
        for row in results.iter_rows():
            raise_packed(row["error"])
            yield works[row["place"]], pickle.loads(row["result"])  # noqa: S301 - made by run_task


@lru_cache(maxsize=1)
def _known(plan: "ray.ObjectRef[GroupPlan]") -> GroupPlan:
    found: GroupPlan = ray.get(plan)
    return found


def run_task(
    row: dict[str, Any], plan: list[Any], task: Callable[[GroupPlan, Any], Any]
) -> dict[str, Any]:
    """Run a task on the work in a row, in a worker."""
    try:
        result = task(_known(plan[0]), pickle.loads(row["work"]))  # noqa: S301 - made by OnCluster
    except Exception as error:  # noqa: BLE001 - raised in the driver
        return {"place": row["place"], "result": b"", "error": packed(error)}
    return {"place": row["place"], "result": pickle.dumps(result), "error": b""}
