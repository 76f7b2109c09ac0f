"""The rows of results.csv: one for each measured checkpoint of each trial."""

from collections.abc import Sequence
from typing import Any

from jobs.compare.config import guidance_setting
from jobs.trials.config import VARIANT
from jobs.trials.records import Record
from jobs.trials.trial import Sweep, Values

Row = dict[str, Any]


def result_rows(records: Sequence[Record], sweep: Sweep) -> list[Row]:
    """Return a row for each measured checkpoint of each trial.

    It holds variant, number of chosen images, guidance, step, seed and all metrics.
    """
    guidances = _Guidances(sweep)
    rows = []
    for record in records:
        for rung in record.rungs:
            metrics = dict(rung.metrics)
            num_images = int(metrics.pop("num_training"))
            rows.append(
                {
                    VARIANT: record.values[VARIANT],
                    "num_images": num_images,
                    "guidance": guidances.of(record.values),
                    "step": rung.step,
                    "seed": record.values["seed"],
                    "trial": record.key,
                    **metrics,
                }
            )
    return sorted(rows, key=_place)


def variants_of(rows: Sequence[Row], sweep: Sweep) -> list[str]:
    """Return the variants that have results, in the order of the comparison."""
    present = {row[VARIANT] for row in rows}
    return [name for name in sweep.config.variants if name in present]


def _place(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in (VARIANT, "num_images", "guidance", "step", "seed"))


class _Guidances:
    """The guidance of trials; their variants decide it, or the grid, or the configuration."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._model = sweep.config.trained_model(sweep.base)
        self._known: dict[tuple[Any, Any], float] = {}

    def of(self, values: Values) -> float:
        """Return the strength of guidance of a trial."""
        key = (values[VARIANT], values.get(guidance_setting(self._model)))
        if key not in self._known:
            config = self._sweep.base_with(values)
            self._known[key] = config.models[self._model].sampling.cfg_scale
        return self._known[key]
