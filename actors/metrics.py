"""Metrics of the stages that pools work on, as Ray exports them to Prometheus.

Ray adds `ray_` before each name and `_total` after each counter. There are only totals: a series
for each class would be thousands. `cluster/grafana/otcondense.json` draws them.
"""

from collections import Counter as CountOf
from collections.abc import Iterable
from typing import get_args

from ray.util.metrics import Counter, Gauge, Histogram

from actors.units import UnitChanges
from otcondense.store import UnitState

UNITS = "otcondense_units"
SWAPS = "otcondense_swaps"
REQUEUED = "otcondense_requeued_units"
SECONDS = "otcondense_unit_seconds"
SECONDS_BOUNDARIES = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0]
"""About two for each power of ten: units take from a tenth of a second to a quarter of an hour."""


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

    def reported(self, before: UnitChanges, changes: UnitChanges) -> None:
        """Count the changes that a worker reports of its unit since `before`."""
        more = changes.get("swaps", 0) - before.get("swaps", 0)
        if more > 0:
            self._swaps.inc(more, tags=self._stage)

    def changed(self, before: UnitChanges, changes: UnitChanges) -> None:
        """Count the changes of a unit since `before` that the driver knows."""
        self.reported(before, changes)
        if changes.get("state") == "done" and "seconds" in changes:
            self._seconds.observe(changes["seconds"], tags=self._stage)
        if changes.get("state") == "queued" and before.get("state") == "running":
            self._requeued.inc(tags=self._stage)

    def show(self, units: Iterable[UnitChanges]) -> None:
        """Set the number of units in each state."""
        counts = CountOf(unit.get("state") for unit in units)
        for state in get_args(UnitState):
            self._units.set(counts[state], tags={**self._stage, "state": state})
