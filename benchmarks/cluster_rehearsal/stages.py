"""The stages of a run with the project's own planning and scheduling, and stand-in workers."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import ray
from ray.train import RunConfig as TrainRunConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from actors.pool import Pool, refuse_failures
from actors.pool_config import PoolConfig
from actors.workers import RayBackend
from benchmarks.cluster_rehearsal.stand_ins import (
    Orders,
    PoolStandIn,
    ShardStandIn,
    SleepUnit,
    train_stand_in,
)
from jobs.cluster.side_by_side import side_by_side
from jobs.cluster.sizing import PoolWork, sized_pool
from jobs.run_directory.config import RunConfig
from jobs.train.placement import Placement, plan_trainings
from otcondense.store import Store
from pipeline.crew import Crew
from pipeline.evaluation_place import EvaluationOnCluster
from pipeline.extraction_config import ExtractionConfig

UNITS = 4
"""Units of work for each worker; the last ones end at nearly the same time."""


@dataclass(frozen=True)
class Rehearsal:
    """What all stages share."""

    config: RunConfig
    folder: str
    """Of the notes."""
    workers: int
    """Workers that the cluster has room for: one for each GPU."""
    seconds: float
    """Time that each stage takes when all workers are busy."""

    def orders(self, stage: str, units_of_each: int = UNITS) -> Orders:
        """Return what the stand-ins of a stage do."""
        return Orders(stage, self.folder, self.seconds / units_of_each)


def extract(rehearsal: Rehearsal, stage: str, resources: ExtractionConfig) -> None:
    """Extract features, latents or tokens."""
    crew = Crew.of(resources, rehearsal.config.cluster, uses_gpu=True)
    rows = [{"number": number} for number in range(UNITS * rehearsal.workers)]
    for _ in crew.map(rows, ShardStandIn, rehearsal.orders(stage)):
        pass


def evaluate(rehearsal: Rehearsal, stage: str) -> None:
    """Encode the images of the evaluation."""
    config = rehearsal.config
    place = EvaluationOnCluster(
        Store(rehearsal.folder), config.extraction, config.encoder.device, config.cluster
    )
    rows = [{"number": number} for number in range(UNITS * rehearsal.workers)]
    for _ in place.crew.map(rows, ShardStandIn, rehearsal.orders(stage)):
        pass


def work_by_pool(rehearsal: Rehearsal, stage: str, pool: PoolConfig, *, uses_gpu: bool) -> None:
    """Select or sample."""
    units = [SleepUnit(f"{stage} {number}") for number in range(UNITS * rehearsal.workers)]
    work = PoolWork(stage, len(units), uses_gpu)
    sized = sized_pool(pool, rehearsal.config.cluster, work)
    actor = ray.remote(PoolStandIn)
    backend = RayBackend.of(actor, sized, rehearsal.orders(stage))
    refuse_failures(Pool(backend, sized).run(units), len(units), "units")


def train(rehearsal: Rehearsal, stage: str, count: int) -> None:
    """Train `count` models."""
    training = next(iter(rehearsal.config.models.values())).training
    plan = plan_trainings(count * [training], rehearsal.config.cluster)
    rounds = -(-count // plan.at_once)
    orders = rehearsal.orders(stage, units_of_each=rounds)
    calls = [partial(_fit, orders, placement) for placement in plan.placements]
    side_by_side(calls, plan.at_once)


def _fit(orders: Orders, placement: Placement) -> None:
    trainer = DataParallelTrainer(
        train_stand_in,
        train_loop_config=asdict(orders),
        scaling_config=placement.scaling_config,
        run_config=TrainRunConfig(name=f"rehearsal-{time.time_ns()}", storage_path=orders.folder),
    )
    trainer.fit()


def stages(rehearsal: Rehearsal) -> Sequence[tuple[str, Callable[[], None]]]:
    """Return the stages of a run by their names, in their order."""
    config = rehearsal.config
    return (
        ("features", partial(extract, rehearsal, "features", config.extraction)),
        (
            "selection",
            partial(work_by_pool, rehearsal, "selection", config.selection.pool, uses_gpu=False),
        ),
        ("latents", partial(extract, rehearsal, "latents", config.representations)),
        ("training", partial(train, rehearsal, "training", 2)),
        (
            "sampling",
            partial(work_by_pool, rehearsal, "sampling", config.samplers, uses_gpu=True),
        ),
        ("evaluation", partial(evaluate, rehearsal, "evaluation")),
    )
