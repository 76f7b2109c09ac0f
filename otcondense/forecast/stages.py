"""The result of a forecast: stages, and the terms that their times consist of."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from otcondense.counts import plural_of
from otcondense.forecast.hardware import Hardware

HOUR = 3600
"""Seconds in an hour."""


@dataclass(frozen=True)
class Term:
    """One part of the time of a stage."""

    name: str
    seconds: float
    hidden: bool = False
    """Whether it takes place beside a longer part, so that it adds nothing."""


@dataclass(frozen=True)
class Workers:
    """The devices that work on a stage at the same time."""

    count: int | float
    """GPUs or cores."""
    on_gpus: bool

    @property
    def text(self) -> str:
        """Number and kind."""
        noun = "GPU" if self.on_gpus else "core"
        return f"{self.count:g} {noun if self.count == 1 else plural_of(noun)}"


@dataclass(frozen=True)
class Stage:
    """Time of one stage of a run."""

    name: str
    """Of its verb, such as train."""
    title: str
    """What it works on."""
    terms: tuple[Term, ...]
    workers: Workers
    """What works on it."""
    beside: bool = False
    """Whether it takes place beside the stage before it, on devices of its own."""
    subject: tuple[str, ...] = ()
    """Names of what it works on: a subset, a model, or a model and a subset."""

    @property
    def seconds(self) -> float:
        """Time of the stage, without the start of nodes and processes."""
        return math.fsum(term.seconds for term in self.terms if not term.hidden)

    def cost(self, hardware: Hardware) -> float:
        """Return the price of all GPUs, or of all cores if it needs none, for its time."""
        if self.workers.on_gpus:
            price = hardware.gpus * hardware.gpu_price
        else:
            price = hardware.cores * hardware.core_price
        return self.seconds / HOUR * price


def beside(*terms: Term) -> tuple[Term, ...]:
    """Return parts that take place at the same time: all but the longest are hidden."""
    longest = max(terms, key=lambda term: term.seconds)
    return tuple(replace(term, hidden=term is not longest) for term in terms)


def workers_of(
    hardware: Hardware,
    *,
    asked: int | float | None,
    gpus_each: int | float | None,
    cores_each: int | float | None = None,
) -> Workers:
    """Return the devices of the workers of a stage.

    Args:
        hardware: what there is.
        asked: number of workers; None is all that helps, 0 is one (no cluster).
        gpus_each: GPUs of each worker; None is one if there are any, 0 is none.
        cores_each: cores of a worker without a GPU; None shares all cores among them.
    """
    if hardware.gpus and gpus_each != 0:
        most = float(hardware.gpus)
        count = most if asked is None else min(most, max(1, asked) * (gpus_each or 1))
        return Workers(count, on_gpus=True)
    most = float(hardware.cores)
    if asked is None or (cores_each is None and asked > 0):
        return Workers(most, on_gpus=False)
    return Workers(min(most, max(1, asked) * (cores_each or 1)), on_gpus=False)


def total_seconds(stages: Iterable[Stage]) -> float:
    """Return the time of stages that follow each other, but for those beside others."""
    return math.fsum(stage.seconds for stage in stages if not stage.beside)


def total_cost(stages: Iterable[Stage], hardware: Hardware) -> float:
    """Return the price of all stages; it is that of all devices, so those beside add nothing."""
    return math.fsum(stage.cost(hardware) for stage in stages if not stage.beside)
