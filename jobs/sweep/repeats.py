"""Is the best trial better than the second one? Both are repeated with further seeds.

The best of many trials is the best partly by luck. The further seeds were not used to find it, so
their difference is free of that luck. The repeats are a sweep of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from jobs.trials.config import METHOD, VARIANT, SweepConfig
from jobs.trials.records import Record
from jobs.trials.sweep import run_sweep
from jobs.trials.trial import Sweep, Values, describe
from otcondense.evaluation.comparison import Difference, compare_in_pairs, mean_interval
from otcondense.evaluation.registry import sign
from otcondense.store import canonical_json

SEED = "seed"
BEST = "best"
SECOND = "second"
USUAL = {"subset": 6, "full": 2}
"""Further seeds of each by default: 6 are the fewest that a test can use, in seconds each; a full
trial trains a model, so two show the spread and no more."""
Verdict = Literal["better", "worse", "within the noise", "too few seeds", "same with every seed"]


@dataclass(frozen=True)
class Repeated:
    """The best two settings of a sweep, measured with further seeds."""

    settings: tuple[Values, Values]
    """The best, then the second one."""
    found: tuple[float, float]
    """What the sweep found for them."""
    values: tuple[Mapping[int, float], Mapping[int, float]]
    """By further seed."""
    difference: Difference
    """Best minus second, in pairs by seed."""
    factor: int
    """1 where lower values are better, else -1."""

    @property
    def verdict(self) -> Verdict:
        """Whether the best one is better, beyond the noise."""
        spreads = [max(each.values()) - min(each.values()) for each in self.values]
        if max(spreads) == 0:
            return "same with every seed"
        if not self.difference.can_pass:
            return "too few seeds"
        if not self.difference.is_beyond_noise():
            return "within the noise"
        return "better" if self.factor * self.difference.mean < 0 else "worse"

    @property
    def num_better(self) -> int:
        """Seeds in which the best one is better."""
        found = self.difference
        return found.num_lower if self.factor == 1 else found.num_higher

    def text(self, number: int) -> str:
        """Return the mean over the further seeds with half its 95 % interval."""
        interval = mean_interval(list(self.values[number].values()))
        spread = "" if interval.count == 1 else f" ± {interval.high - interval.mean:.2g}"
        return f"{interval.mean:.4g}{spread}"

    @property
    def words(self) -> str:
        """The verdict as a sentence."""
        first, second = (describe(each) for each in self.settings)
        seeds = self.difference.num_pairs
        start = f"{first} ({self.text(0)}) against {second} ({self.text(1)}), {seeds} further seeds"
        endings: dict[Verdict, str] = {
            "better": f"better in {self.num_better} of {seeds}, beyond the noise",
            "worse": "the second one is better, beyond the noise: the best one was luck",
            "within the noise": "within the noise: take either",
            "too few seeds": f"better in {self.num_better} of {seeds}: too few seeds to test",
            "same with every seed": "no seed changes either: their difference is no noise of "
            "seeds, but other images could change it",
        }
        return f"{start}: {endings[self.verdict]}"


def repeat_best(sweep: Sweep, records: Sequence[Record]) -> Repeated | None:
    """Measure the best two settings with further seeds; finished repeats are skipped.

    Returns: None if the sweep wants none, has fewer than two settings, or no repeat could be
        measured.
    """
    two = best_two(sweep, records)
    seeds = further_seeds(sweep, records)
    if len(two) < 2 or not seeds:
        return None
    repeated = replace(sweep, config=repeats_config(sweep, two, seeds))
    return outcome(sweep, two, run_sweep(repeated))


def best_two(sweep: Sweep, records: Sequence[Record]) -> list[Record]:
    """Return the best trial, and the best one of other settings; fewer if there are no more."""
    metric = sweep.config.metric
    factor = sign(sweep.config.direction)
    finished = [each for each in records if each.state == "finished"]
    measured = [each for each in finished if each.metric(metric) is not None]
    found: dict[str, Record] = {}
    for record in sorted(measured, key=lambda each: factor * _value(each, metric)):
        found.setdefault(canonical_json(_without_seed(record.values)), record)
    return list(found.values())[:2]


def _without_seed(values: Values) -> Values:
    return {name: value for name, value in values.items() if name != SEED}


def further_seeds(sweep: Sweep, records: Sequence[Record]) -> tuple[int, ...]:
    """Return the seeds of the repeats: none that a trial of the sweep has used."""
    config = sweep.config
    count = USUAL[config.kind] if config.repeats is None else config.repeats
    used = {int(record.values[SEED]) for record in records if SEED in record.values}
    used.add(sweep.base.selection.seed)
    first = max(used) + 1
    return tuple(range(first, first + count))


def repeats_config(sweep: Sweep, two: Sequence[Record], seeds: Sequence[int]) -> SweepConfig:
    """Return the sweep that repeats two trials with further seeds, each to its end."""
    config = sweep.config
    bundles = [_bundle(sweep, record.values) for record in two]
    return SweepConfig(
        name=f"{config.name}-repeats",
        kind=config.kind,
        method=config.method,
        model=config.model,
        metric=config.metric,
        variants=dict(zip((BEST, SECOND), bundles, strict=True)),
        space={SEED: tuple(seeds)},
        stop_early=False,
        repeats=0,
        reference_images=config.reference_images,
        max_concurrent=config.max_concurrent,
        driver_cpus=config.driver_cpus,
        driver_gpus=config.driver_gpus,
        max_failures=config.max_failures,
        ensemble_size=config.ensemble_size,
    )


def _bundle(sweep: Sweep, values: Values) -> Values:
    """Return the settings of a trial as a variant, without its seed."""
    own = sweep.config.variants.get(values.get(VARIANT, ""), {})
    merged = {METHOD: sweep.method(values), **values, **own}
    return {name: value for name, value in merged.items() if name not in (VARIANT, SEED)}


def outcome(sweep: Sweep, two: Sequence[Record], repeats: Sequence[Record]) -> Repeated | None:
    """Return what the repeats say; None if one of the two has none."""
    metric = sweep.config.metric
    values: dict[str, dict[int, float]] = {BEST: {}, SECOND: {}}
    for record in repeats:
        value = record.metric(metric)
        if record.state == "finished" and value is not None:
            values[record.values[VARIANT]][int(record.values[SEED])] = value
    if not (values[BEST] and values[SECOND]):
        return None
    difference = compare_in_pairs(values[SECOND], {BEST: values[BEST]})[BEST]
    first, second = two
    return Repeated(
        settings=(_without_seed(first.values), _without_seed(second.values)),
        found=(_value(first, metric), _value(second, metric)),
        values=(values[BEST], values[SECOND]),
        difference=difference,
        factor=sign(sweep.config.direction),
    )


def _value(record: Record, metric: str) -> float:
    value = record.metric(metric)
    assert value is not None, "only measured trials are repeated"
    return value
