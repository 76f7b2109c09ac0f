"""What is proven about a subset of a stream, against every subset of tiny streams."""

from itertools import combinations

import numpy as np
import pytest
import torch
from jaxtyping import Float

from otcondense.ot import PartialProblem, SemiDualNewton
from otcondense.selection import LowerBoundConfig
from otcondense.streaming import StreamSelector
from otcondense.streaming.class_stream import ClassStream
from otcondense.streaming.moments import Moments
from otcondense.streaming.rows import StreamRows
from otcondense.streaming.sample import KeyedSample
from otcondense.streaming.upper_bound import margin
from tests.generators.streams import points

BUDGET, KAPPA = 2, 1.05
RELAXED = LowerBoundConfig(enumerate_up_to=0)
"""The bound that larger streams get too: tiny problems would be enumerated."""


def objective(
    chosen: Float[np.ndarray, "k d"], others: Float[np.ndarray, "n d"], epsilon: float
) -> float:
    """Return the objective of method.md, with equal weights, written down directly."""
    values, targets = chosen.astype(np.float64), others.astype(np.float64)
    cost = np.square(values[:, None] - targets[None]).sum(axis=-1)
    output = SemiDualNewton()(PartialProblem(torch.tensor(cost), epsilon, KAPPA))
    mean = np.square(values.mean(axis=0) - targets.mean(axis=0)).sum()
    spread = values.std(axis=0, ddof=1) - targets.std(axis=0, ddof=1)
    return float(output.regularized_value) + float(mean + np.square(spread).sum())


def epsilon_of(stream: ClassStream) -> float:
    """Return 0.05 times the lower median cost of the images in memory."""
    held = {*stream.reservoir.rows.arrival.tolist(), *stream.kept.arrival.tolist()}
    features = points(40)[sorted(held)].astype(np.float64)
    cost = np.square(features[:, None] - features[None]).sum(axis=-1)
    return 0.05 * float(torch.tensor(cost).flatten().median())


@pytest.mark.parametrize("seed", range(3))
def test_no_subset_of_the_images_in_memory_is_below_the_lower_bound(seed: int) -> None:
    selector = StreamSelector(
        BUDGET, seed=seed, reservoir=8, check_rows=5, block=8, lower_bound=RELAXED
    )
    features = points(40)
    selector.partial_fit(features)
    stream = selector._classes["all"].finished()
    reservoir = stream.reservoir.rows.arrival.tolist()
    held = sorted({*reservoir, *stream.kept.arrival.tolist()})
    epsilon = epsilon_of(stream)
    all_values = {
        subset: objective(features[list(subset)], features[reservoir], epsilon)
        for subset in combinations(held, BUDGET)
    }
    kept = selector.indices_.tolist()
    assert all_values[min(kept), max(kept)] == pytest.approx(selector.objective_)
    best = min(all_values.values())
    best_of_reservoir = min(all_values[pair] for pair in combinations(reservoir, BUDGET))
    assert 0 < selector.lower_bound_ <= best * (1 + 1e-9)
    assert best <= best_of_reservoir
    gap = selector.objective_ - selector.lower_bound_
    assert selector.objective_ <= best_of_reservoir + gap


@pytest.mark.parametrize("seed", range(3))
def test_the_objective_on_the_whole_stream_is_below_the_upper_bound(seed: int) -> None:
    selector = StreamSelector(
        BUDGET, seed=seed, reservoir=8, check_rows=20, block=8, lower_bound=None
    )
    features = points(40)
    selector.partial_fit(features)
    epsilon = epsilon_of(selector._classes["all"].finished())
    exact = objective(features[selector.indices_], features, epsilon)
    assert exact <= selector.upper_bound_


def test_the_upper_bound_is_the_objective_if_the_second_sample_is_the_stream() -> None:
    selector = StreamSelector(BUDGET, reservoir=8, check_rows=40, block=8, lower_bound=None)
    features = points(40)
    selector.partial_fit(features)
    epsilon = epsilon_of(selector._classes["all"].finished())
    exact = objective(features[selector.indices_], features, epsilon)
    assert selector.upper_bound_ == pytest.approx(exact)


def test_there_is_no_upper_bound_without_a_second_sample() -> None:
    selector = StreamSelector(BUDGET, reservoir=8, check_rows=0, lower_bound=None)
    assert np.isnan(selector.partial_fit(points(40)).upper_bound_)


def test_the_margin_holds_as_often_as_it_says() -> None:
    values = np.random.default_rng(0).uniform(size=60)
    whole = Moments.of(StreamRows(values[:, None].astype(np.float32), np.arange(60), ("",) * 60))
    allowed = margin(whole, 30, float(np.ptp(values)), 0.2)
    means = []
    for seed in range(300):
        drawn = np.random.default_rng(seed).choice(values, size=30, replace=False)
        means.append(drawn.mean())
    is_above = values.mean() - np.array(means) > allowed
    assert 0 < allowed < np.ptp(values)
    assert is_above.mean() <= 0.2
    assert margin(whole, 60, 1.0, 0.2) == 0


def test_the_largest_cost_holds_for_every_image_that_has_arrived() -> None:
    features = points(60) * np.array([1, 10, 100], np.float32)
    rows = StreamRows(features, np.arange(60), ("",) * 60)
    moments = Moments.of(rows.take(range(20)))
    moments = moments.with_rows(rows.take(range(20, 30)))
    other = Moments.of(rows.take(range(30, 60)))
    for found, count in ((moments, 30), (moments.merged(other), 60)):
        cost = np.square(features[:5, None] - features[None, :count]).sum(axis=-1)
        assert cost.max() <= found.largest_cost(features[:5]) <= 6 * cost.max()


def test_samples_are_uniform_and_independent() -> None:
    count, size, draws = 30, 10, 400
    rows = StreamRows(points(count), np.arange(count), tuple(map(str, range(count))))
    nothing = StreamRows.none(3)
    hits = np.zeros((2, count))
    both = 0
    for seed in range(draws):
        drawn = [
            set(KeyedSample(size, seed, purpose, nothing).with_rows(rows).rows.arrival.tolist())
            for purpose in ("reservoir", "check")
        ]
        for number, each in enumerate(drawn):
            hits[number, sorted(each)] += 1
        both += len(drawn[0] & drawn[1])
    assert np.abs(hits / draws - size / count).max() < 0.1
    assert both / draws == pytest.approx(size * size / count, rel=0.1)
