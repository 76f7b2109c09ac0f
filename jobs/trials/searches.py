"""Searches that learn from earlier trials."""

from collections.abc import Sequence
from typing import Any

from jobs.trackers.chosen import require
from jobs.trials.config import Span, SweepConfig
from jobs.trials.records import Record


def optuna_search(config: SweepConfig, settled: Sequence[Record]) -> Any:
    """Return an Optuna search (TPE, seeded) that knows the results of earlier starts of the sweep.

    Raises: InputError if optuna is not installed.
    """
    require("optuna", "search=optuna")
    from ray.tune.search.optuna import OptunaSearch

    measured = [record for record in settled if record.metric(config.metric) is not None]
    return OptunaSearch(
        space=_distributions(config),
        metric=config.metric,
        mode=config.mode,
        seed=config.seed + len(measured),
        points_to_evaluate=[record.values for record in measured] or None,
        evaluated_rewards=[record.metric(config.metric) for record in measured] or None,
    )


def _distributions(config: SweepConfig) -> dict[str, Any]:
    import optuna

    distributions: dict[str, Any] = {}
    for name, values in config.space.items():
        if not isinstance(values, Span):
            distributions[name] = optuna.distributions.CategoricalDistribution(values)
        elif values.integer:
            distributions[name] = optuna.distributions.IntDistribution(
                int(values.low), int(values.high), log=values.log
            )
        else:
            distributions[name] = optuna.distributions.FloatDistribution(
                values.low, values.high, log=values.log
            )
    return distributions
