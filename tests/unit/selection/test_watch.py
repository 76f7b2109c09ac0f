"""Selectors report every step to a watcher, which can stop them and changes no result."""

import numpy as np
import pytest

from otcondense.selection import SELECTORS, Moment


class Stopped(Exception):  # noqa: N818
    pass


@pytest.fixture
def features() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(60, 8))


def test_the_stages_are_reported_in_order_with_swaps_and_objective(features: np.ndarray) -> None:
    moments: list[Moment] = []
    selector = SELECTORS["geometry_aware"](budget=5, rebuilds=2).watch(moments.append).fit(features)
    stages = list(dict.fromkeys(moment.stage for moment in moments))
    assert stages == ["cost matrix", "greedy", "swaps", "lower bound", "rebuilds"]
    swaps = [moment.swaps for moment in moments]
    assert swaps == sorted(swaps)
    assert moments[-1].objective == pytest.approx(selector.objective_, rel=1e-6)
    assert {moment.chosen for moment in moments if moment.stage == "swaps"} == {5}


def test_a_watcher_does_not_change_the_result(features: np.ndarray) -> None:
    watched = SELECTORS["geometry_aware"](budget=5).watch(lambda _: None).fit(features)
    alone = SELECTORS["geometry_aware"](budget=5).fit(features)
    assert watched.indices_.tolist() == alone.indices_.tolist()
    assert watched.history_ == alone.history_


@pytest.mark.parametrize(
    "method",
    sorted(SELECTORS.keys() - {"ccs", "d2c", "dq"}),
)
def test_an_exception_in_the_watcher_ends_the_fit(method: str, features: np.ndarray) -> None:
    def refuse(_: Moment) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        SELECTORS[method](budget=5).watch(refuse).fit(features)
