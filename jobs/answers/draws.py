"""The stored comparison of a subset with random draws, through the judge and without training."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jobs.run_directory.identity import identity
from jobs.run_directory.run import Run
from otcondense.errors import InputError
from otcondense.store import hash8

DRAWN_METRICS = ("frechet_distance", "mind", "coverage", "recall")
"""Metrics of a subset itself: how near its images are to held-out ones, and how much they cover."""
LEAST_HELD_OUT = 10
"""Fewest held-out images that a subset is compared with."""


@dataclass(frozen=True)
class DrawRecord:
    """The metrics of one subset and of random subsets with as many images of each class."""

    fingerprint: str
    """Of everything that the metrics depend on."""
    network: str
    num_held_out: int
    values: Mapping[str, float]
    """Of the subset, by the names of `DRAWN_METRICS`."""
    draws: Mapping[str, Sequence[float]]
    """Of each random draw."""


def draws_file(run: Run, method: str) -> str:
    """Return the name of the comparison of one subset with random draws."""
    key = [run.features_key(run.config.judge_or_encoder), identity(run.config.held_out)]
    return f"{run.selection_directory(method)}/draws-{hash8(key)}.json"


def write_draws(run: Run, method: str, record: DrawRecord) -> None:
    """Write the comparison of one subset."""
    run.store.write_json(draws_file(run, method), asdict(record))


def read_draws(run: Run, method: str) -> DrawRecord | None:
    """Return the comparison of one subset; None if it is missing or damaged."""
    if run.config.held_out is None or not run.store.exists(draws_file(run, method)):
        return None
    try:
        stored: dict[str, Any] = run.store.read_json(draws_file(run, method))
        return DrawRecord(**stored)
    except (InputError, TypeError):
        return None
