"""Workers that sleep instead of computing, and write down when and on which GPUs they did."""

import json
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ray


@dataclass(frozen=True)
class Slept:
    """One unit of work of a stand-in."""

    stage: str
    node: str
    gpus: tuple[int, ...]
    visible: str
    """CUDA_VISIBLE_DEVICES, by which CUDA finds its GPUs."""
    start: float
    end: float

    @property
    def sees_its_gpus(self) -> bool:
        """Whether CUDA would find the GPUs that Ray gave, and no others.

        The workers of a training on one node see the GPUs of all of them.
        """
        visible = {int(number) for number in self.visible.split(",") if number}
        own = set(self.gpus)
        return own <= visible if self.stage == "training" else own == visible


@dataclass(frozen=True)
class Orders:
    """What a stand-in does."""

    stage: str
    folder: str
    """Where its notes are written."""
    seconds: float
    """Time of one unit of work."""

    def work(self) -> None:
        """Sleep, and note it."""
        start = time.time()
        time.sleep(self.seconds)
        context = ray.get_runtime_context()
        gpus = tuple(int(number) for number in context.get_accelerator_ids()["GPU"])
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "not set")
        note = Slept(self.stage, context.get_node_id(), gpus, visible, start, time.time())
        name = f"{self.stage}-{uuid.uuid4().hex}.json"
        Path(self.folder, name).write_text(json.dumps(asdict(note)), encoding="utf-8")


def notes(folder: str, stage: str) -> Iterator[Slept]:
    """Yield the notes of a stage."""
    for path in sorted(Path(folder).glob(f"{stage}-*.json")):
        values = json.loads(path.read_text(encoding="utf-8"))
        yield Slept(**{**values, "gpus": tuple(values["gpus"])})


class ShardStandIn:
    """In place of the encoder of shards; rows go through Ray Data."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Work on one shard."""
        self._orders.work()
        return row


@dataclass(frozen=True)
class SleepUnit:
    """A unit of a pool."""

    name: str


class PoolStandIn:
    """In place of selectors and samplers."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    def run(self, _unit: SleepUnit) -> dict[str, int]:
        """Work on one unit."""
        self._orders.work()
        return {}


def train_stand_in(settings: dict[str, Any]) -> None:
    """In place of the training loop, in a worker of Ray Train."""
    Orders(**settings).work()
