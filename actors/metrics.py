"""Metrics of the stages that pools work on, as Ray exports them to Prometheus: `ray_` before each name, `_total` after counters.

Aggregates alone: a series for each class would be thousands. `cluster/grafana/otcondense.json` draws them.
"""

from collections import Counter as CountOf
from collections.abc import Iterable
from typing import Any, get_args

from ray.util.metrics import Counter, Gauge, Histogram

from otcondense.store import UnitState

UNITS = "otcondense_units"
SWAPS = "otcondense_swaps"
REQUEUED = "otcondense_requeued_units"
SECONDS = "otcondense_unit_seconds"
SECONDS_BOUNDARIES = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0]


class StageMetrics:
    """Metrics of one stage."""

    def __init__(self, stage: str) -> None:
        self._stage = {"stage": stage}
        self._units = Gauge(UNITS, "Units of work by state", tag_keys=("stage", "state"))
        self._swaps = Counter(SWAPS, "Swaps made by all selectors", tag_keys=("stage",))
        self._requeued = Counter(
            REQUEUED, "Units queued again after a worker died", tag_keys=("stage",)
        )
        self._seconds = Histogram(
            SECONDS, "Seconds that a unit took", boundaries=SECONDS_BOUNDARIES, tag_keys=("stage",)
        )

    def reported(self, before: dict[str, Any], changes: dict[str, Any]) -> None:
        """Count what a worker says of its unit beside what was known before."""
        more = changes.get("swaps", 0) - before.get("swaps", 0)
        if more > 0:
            self._swaps.inc(more, tags=self._stage)

    def changed(self, before: dict[str, Any], changes: dict[str, Any]) -> None:
        """Count what the driver says of a unit beside what was known before."""
        self.reported(before, changes)
        if changes.get("state") == "done" and "seconds" in changes:
            self._seconds.observe(changes["seconds"], tags=self._stage)
        if changes.get("state") == "queued" and before.get("state") == "running":
            self._requeued.inc(tags=self._stage)

    def show(self, units: Iterable[dict[str, Any]]) -> None:
        """Show how many units are in each state."""
        counts = CountOf(unit.get("state") for unit in units)
        for state in get_args(UnitState):
            self._units.set(counts[state], tags={**self._stage, "state": state})
