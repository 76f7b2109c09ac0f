"""Where an evaluation works: in this process, or with workers and tasks of a cluster.

Only numbers of parts go to the workers, and only counts and metrics come back. Images and features
stay with the worker that reads and writes them.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import ray
import torch

from otcondense.devices import DeviceSetting
from otcondense.errors import InputError
from otcondense.evaluation import ImageEncoder
from otcondense.store import Store
from otcondense.threads import one_thread
from pipeline.cluster_config import ANY_CLUSTER, ClusterConfig
from pipeline.crew import Crew
from pipeline.evaluation_resources import plan_evaluation, refuse_silent_cpu
from pipeline.extraction_config import ExtractionConfig
from pipeline.failures import packed, raise_packed
from pipeline.judged_parts import Part, encode_part
from pipeline.judges import JudgeConfig
from pipeline.resources import plan_demand
from pipeline.room import cluster_gpus, known_gpus, room_for

Result = TypeVar("Result")
Answer_co = TypeVar("Answer_co", covariant=True)


class Task(Protocol[Answer_co]):
    """Metrics to compute; a frozen dataclass, as it travels to a worker."""

    def __call__(self, device: torch.device) -> Answer_co:
        """Compute on a device."""
        ...


@dataclass(frozen=True)
class Done(Generic[Result]):
    """What a task returned."""

    number: int
    """Place of the task in the list."""
    result: Result


class EvaluationHere:
    """Works in this process, without a cluster."""

    def __init__(self, store: Store, device: DeviceSetting) -> None:
        has_gpu = torch.cuda.is_available()
        gpus = cluster_gpus()
        refuse_silent_cpu(device, gpus=float(has_gpu), cluster_gpus=gpus)
        self._store = store
        self._device = torch.device("cuda" if has_gpu and device != "cpu" else "cpu")

    def encode(self, judge: JudgeConfig, parts: Sequence[Part]) -> Iterator[Part]:
        """Encode parts; yields each when its results are written.

        Raises: InputError as `encode_part` does.
        """
        with one_thread() as threads:
            network = judge.load()
            for part in parts:
                encode_part(self._store, part, network, threads)
                yield part

    def measure(self, tasks: Sequence[Task[Result]]) -> Iterator[Done[Result]]:
        """Compute tasks one after another; yields the result of each.

        Raises: what a task raises.
        """
        for number, task in enumerate(tasks):
            yield Done(number, task(self._device))


class EvaluationOnCluster:
    """Works on the cluster of this process: encoding by actors of Ray Data, metrics in tasks."""

    def __init__(
        self,
        store: Store,
        config: ExtractionConfig,
        device: DeviceSetting,
        cluster: ClusterConfig = ANY_CLUSTER,
    ) -> None:
        self._store = store
        gpus = known_gpus(cluster)
        demand = plan_demand(config, gpus, cluster, device)
        nodes = room_for(demand, cluster, "evaluation", least=0)
        self.resources = plan_evaluation(config, nodes, device, gpus)
        self.crew = Crew(self.resources.encoders, demand.count, config.stall_timeout_s)

    def encode(self, judge: JudgeConfig, parts: Sequence[Part]) -> Iterator[Part]:
        """Encode parts in any order; yields each when its results are written.

        Raises: InputError as `encode_part` does.
        """
        resources = self.resources.encoders
        job = EncodingJob(
            self._store.root, judge, tuple(parts), resources.threads, assigned=resources.gpus > 0
        )
        rows = [{"number": number} for number in range(len(parts))]
        for row in self.crew.map(rows, PartActor, [ray.put(job)]):
            raise_packed(row["error"])
            yield parts[row["number"]]

    def measure(self, tasks: Sequence[Task[Result]]) -> Iterator[Done[Result]]:
        """Compute tasks, as many at a time as there are GPUs; yields the result of each.

        Raises: what a task raises.
        """
        resources = self.resources
        remote: Any = ray.remote(run_task).options(
            num_cpus=resources.metrics_cpus, num_gpus=resources.metrics_gpus
        )
        threads = max(1, int(resources.metrics_cpus))
        pending = {
            remote.remote(task, resources.device, threads): number
            for number, task in enumerate(tasks)
        }
        try:
            while pending:
                (ready,), _ = ray.wait(list(pending), num_returns=1)
                number = pending.pop(ready)
                result, error, messages = ray.get(ready)
                for message in messages:
                    warnings.warn(message, stacklevel=2)
                raise_packed(error)
                yield Done(number, result)
        finally:
            for left in pending:
                ray.cancel(left, force=True)


@dataclass(frozen=True)
class EncodingJob:
    """All that a worker needs to know, the same for all workers."""

    root: str
    judge: JudgeConfig
    parts: tuple[Part, ...]
    threads: int
    assigned: bool
    """Whether the cluster gives each worker a GPU."""


class PartActor:
    """The worker as an actor of Ray Data: a row in, a row out."""

    def __init__(self, job: "list[ray.ObjectRef[EncodingJob]]") -> None:
        torch.set_num_threads(1)
        torch.backends.cudnn.deterministic = True
        self._job = ray.get(job[0])
        self._error = b""
        self._network: ImageEncoder | None = None
        try:
            self._network = self._job.judge.load(assigned=self._job.assigned)
        except Exception as error:  # noqa: BLE001 - raised in the driver
            # Ray Data would start an actor that fails again and again.
            self._error = packed(error)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Encode the part of a row; an error is returned, not raised."""
        if self._network is None:
            return {**row, "error": self._error}
        job = self._job
        try:
            encode_part(Store(job.root), job.parts[row["number"]], self._network, job.threads)
        except Exception as error:  # noqa: BLE001 - raised in the driver
            return {**row, "error": packed(error)}
        return {**row, "error": b""}


def run_task(
    task: Task[Result], device: str, threads: int
) -> tuple[Result | None, bytes, list[str]]:
    """Compute a task in a worker.

    Returns: the result, the packed error, and the messages of warnings, which nobody would see.
    """
    torch.set_num_threads(threads)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            if device == "cuda" and not torch.cuda.is_available():
                raise InputError(
                    "the metrics have a GPU of the cluster, but torch finds none in the worker; "
                    "check the driver (`otcondense doctor`), or set judge.device=cpu"
                )
            result: Result | None = task(torch.device(device))
            error = b""
        except Exception as failed:  # noqa: BLE001 - raised in the driver
            result, error = None, packed(failed)
    return result, error, [str(each.message) for each in caught if each.category is UserWarning]
