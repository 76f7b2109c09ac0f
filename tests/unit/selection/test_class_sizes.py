"""Every class size gives a subset, for every selector and capacity."""

from typing import Any

import numpy as np
import pytest

from otcondense.selection import SELECTORS
from otcondense.selection.engine import problem as engine_problem
from otcondense.selection.geometry_aware import GeometryAwareSelector
from otcondense.selection.objective_config import admissible_kappa
from tests.generators.classes import small_class

BUDGET = 6
SIZES = [BUDGET, BUDGET + 1, BUDGET + 2, 2 * BUDGET - 1, 2 * BUDGET, 2 * BUDGET + 1]
SETTINGS: list[Any] = [("error", BUDGET), ("error", 2 * BUDGET), ("take_all", BUDGET + 1)]
SETTINGS += [
    pytest.param(setting, size, marks=pytest.mark.slow)
    for setting in ("error", "take_all")
    for size in SIZES
    if (setting, size) not in SETTINGS
]
QUICK: dict[str, Any] = {"rebuilds": 0}


@pytest.mark.parametrize("method", SELECTORS)
@pytest.mark.parametrize(("small_class_setting", "size"), SETTINGS)
def test_every_selector_chooses_from_every_size(
    method: str, size: int, small_class_setting: str
) -> None:
    data = small_class(size, size)
    selector = SELECTORS[method](budget=BUDGET, small_class=small_class_setting)
    selector.fit(data.features, difficulty=data.cross_entropy)
    assert len(set(selector.indices_.tolist())) == BUDGET
    assert selector.received_mass_.sum() == pytest.approx(1)


@pytest.mark.parametrize("kappa", [1.0, 1.0001, 1.05, 1.5, 2.0, 5.0, 1e6])
@pytest.mark.parametrize("budget", [1, 2, 5])
@pytest.mark.parametrize("more", [0, 1, 2, 5])
def test_the_capacity_never_makes_the_transport_trivial(
    kappa: float, budget: int, more: int
) -> None:
    size = budget + more
    data = small_class(size, size)
    selector = GeometryAwareSelector(budget, kappa=kappa, alpha=0.0, **QUICK).fit(data.features)

    assert len(set(selector.indices_.tolist())) == budget
    assert selector.swap_optimal_
    if more:
        assert selector.kappa_ * budget < size
        assert selector.kappa_ == (kappa if kappa * budget < size else 1)
        assert selector.objective_ > 0
        assert selector.diagnostics_.gap < 1e-3


def test_just_above_the_budget_the_image_nearest_to_the_others_is_left_out() -> None:
    # At kappa 1, each of the 7 chosen images ships 1/7 - 1/8 of its mass to the one left out.
    features = small_class(3, 8).features
    mean_cost = np.square(features[:, None] - features).sum(axis=2).mean(axis=0)
    selector = GeometryAwareSelector(7, alpha=0.0, epsilon_relative=1e-3, **QUICK).fit(features)
    assert sorted({*range(8)} - {*selector.indices_.tolist()}) == [int(mean_cost.argmin())]


def test_the_lowered_capacity_is_recorded() -> None:
    features = small_class(0, 21).features
    lowered = GeometryAwareSelector(20, **QUICK).fit(features)
    assert (lowered.kappa_, lowered.diagnostics_.lowered_kappa) == (1.0, 1.0)
    kept = GeometryAwareSelector(16, **QUICK).fit(features)
    assert (kept.kappa_, kept.diagnostics_.lowered_kappa) == (1.05, None)


@pytest.mark.parametrize("size", [BUDGET + 1, 2 * BUDGET])
@pytest.mark.parametrize(
    "value", [0.0, 1e-150, *(pytest.param(x, marks=pytest.mark.slow) for x in (1.0, 0.1, -1e150))]
)
@pytest.mark.parametrize("method", SELECTORS)
def test_identical_images_give_the_first_ones_or_a_draw(
    method: str, value: float, size: int
) -> None:
    settings = QUICK if method == "geometry_aware" else {}
    selector = SELECTORS[method](budget=BUDGET, small_class="take_all", **settings)
    selector.fit(np.full((size, 3), value), difficulty=np.full(size, 2.0))
    assert len(set(selector.indices_.tolist())) == BUDGET
    assert selector.received_mass_.sum() == pytest.approx(1)
    if method == "geometry_aware":
        assert sorted(selector.indices_.tolist()) == list(range(BUDGET))
        assert selector.objective_ == 0
        assert selector.lower_bound_ == 0
        assert selector.swap_optimal_


@pytest.mark.parametrize(
    "settings",
    [
        {"statistics": "full"},
        {"objective": "transport"},
        {"solver": "sinkhorn"},
        {"solver": "pot"},
        {"start": "k_medoids"},
        {"beta": 0.1},
        {"scale": "absolute", "epsilon": 0.5},
    ],
    ids=str,
)
@pytest.mark.parametrize("identical", [False, True])
@pytest.mark.parametrize(
    "size", [pytest.param(3, marks=pytest.mark.slow), 4, pytest.param(5, marks=pytest.mark.slow)]
)
def test_every_mode_chooses_just_above_the_budget(
    settings: dict[str, Any], size: int, identical: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_problem, "SINKHORN_ITERATIONS", 100)
    data = small_class(size, size)
    features = np.ones((size, 3)) if identical else data.features
    selector = GeometryAwareSelector(3, **QUICK, **settings)
    selector.fit(features, cross_entropy=data.cross_entropy)
    assert len(set(selector.indices_.tolist())) == 3


def test_the_rule_is_one_for_all_sizes() -> None:
    for budget in (1, 2, 50, 100):
        for size in range(budget + 1, 2 * budget + 3):
            assert admissible_kappa(1.05, size, budget) * budget < size
