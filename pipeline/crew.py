"""The actors of an extraction on the cluster: how many, with which resources, and their rows."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.data import ActorPoolStrategy, DataContext, Dataset

from otcondense.devices import DeviceSetting
from pipeline.cluster_config import ClusterConfig
from pipeline.extraction_config import ExtractionConfig
from pipeline.resources import Resources, plan_demand, plan_resources
from pipeline.room import known_gpus, room_for

Row = dict[str, Any]
"""A row of a data set of Ray."""


@dataclass(frozen=True)
class Crew:
    """Actors of Ray Data that work on rows."""

    resources: Resources
    """Of the actors that fit now."""
    most: int
    """Actors that there can be when the autoscaler has started all nodes, if more."""
    stall_timeout_s: int
    """The work fails after so many seconds without a finished row."""

    @classmethod
    def of(cls, config: ExtractionConfig, cluster: ClusterConfig, device: DeviceSetting) -> "Crew":
        """Return the actors of an extraction, once there is room for them.

        Args:
            config: settings; None there means all that helps.
            cluster: what the cluster can have, and how long to wait for it.
            device: of the network, as configured.

        Raises: InputError if the cluster is too small, or GPUs would stay idle.
        """
        demand = plan_demand(config, known_gpus(cluster), cluster, device)
        nodes = room_for(demand, cluster, "extraction", least=0)
        resources = plan_resources(config, nodes, device)
        return cls(resources, demand.count, config.stall_timeout_s)

    def map(
        self, rows: Sequence[Row], actor: type, argument: Any, *, at_once: int = 1
    ) -> Iterator[Row]:
        """Yield what the actors make of rows, in any order.

        Args:
            rows: the rows; each is a call of its own.
            actor: a class whose objects take a row and return one.
            argument: of its constructor; a list with a reference is passed as it is.
            at_once: rows that an actor works on, each in a thread of its own.
        """
        workers = min(self.resources.encoders, len(rows))
        most = max(workers, min(self.most, len(rows)))
        results = self.blocks(rows).map(
            actor,
            fn_constructor_args=(argument,),
            # They go on with what a lost node leaves, and take what the autoscaler adds.
            compute=ActorPoolStrategy(
                min_size=1,
                max_size=most,
                initial_size=workers,
                max_concurrent_calls_per_actor=at_once,
                enable_true_multi_threading=at_once > 1,
            ),
            num_cpus=self.resources.cpus,
            num_gpus=self.resources.gpus,
        )
        yield from results.iter_rows()

    def blocks(self, rows: Sequence[Row]) -> Dataset:
        """Return a data set with one block for each row, so that each is a task of its own."""
        context = DataContext.get_current().copy()
        context.enable_progress_bars = False
        context.execution_no_progress_timeout_s = self.stall_timeout_s
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        with DataContext.current(context):
            return ray.data.from_items(list(rows), override_num_blocks=len(rows))
