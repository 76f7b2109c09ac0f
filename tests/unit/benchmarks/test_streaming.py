"""The benchmark of streams judges subsets as the method does."""

import numpy as np
import pytest

from benchmarks.streaming import Judge, from_reservoir, orders, streamed
from otcondense.selection import GeometryAwareSelector
from tests.generators.streams import points

FEATURES = points(80)


def test_every_order_has_every_image_once() -> None:
    found = orders(FEATURES, np.arange(80) % 3)
    assert all(sorted(order.tolist()) == list(range(80)) for order in found.values())
    assert len({tuple(order.tolist()) for order in found.values()}) == 4


def test_the_judge_measures_the_objective_of_the_method() -> None:
    selector = GeometryAwareSelector(6, rebuilds=0, lower_bound=None).fit(FEATURES)
    judge = Judge(FEATURES)
    assert judge.objective(selector.indices_) == pytest.approx(selector.objective_)
    assert 0 < judge.coverage(selector.indices_) <= 1


def test_a_stream_that_fits_into_the_reservoir_is_the_choice_from_it() -> None:
    order = np.random.default_rng(0).permutation(80)
    chosen = order[streamed(FEATURES, order, 6).indices_]
    assert Judge(FEATURES).objective(chosen) == pytest.approx(
        Judge(FEATURES).objective(from_reservoir(FEATURES, order, 6)), rel=0.05
    )
