"""Results do not depend on the unit or the origin of the features."""

import ast
from functools import cache
from typing import Any

import numpy as np
import pytest

from otcondense.errors import InputError
from otcondense.selection import SELECTORS, Selector
from otcondense.selection.geometry_aware import GeometryAwareSelector
from otcondense.selection.watch import Moment
from tests.generators.classes import small_class

SCALES: list[Any] = [1e-150, 1e-4, 3.7, 1e8, 1e150]
SCALES += [
    pytest.param(scale, marks=pytest.mark.slow)
    for scale in (1e-100, 1e-20, 1e-8, 1e-3, 0.1, 1e4, 1e20, 1e100)
]
DATA = small_class(5, 24, width=6)
QUICK: dict[str, Any] = {"rebuilds": 0, "lower_bound": {"enumerate_up_to": 0}}
MODES: list[dict[str, Any]] = [
    {"alpha": 0.0},
    {"statistics": "full"},
    {"kappa": 1.0},
    {"include": (3,), "exclude": (4, 5)},
    {"start": "k_medoids"},
    {"objective": "transport"},
]


def fitted(settings: dict[str, Any], scale: float, shift: float = 0.0) -> GeometryAwareSelector:
    selector = GeometryAwareSelector(4, **QUICK, **settings)
    return selector.fit(DATA.features * scale + shift, cross_entropy=DATA.cross_entropy)


CASES: list[Any] = [({}, 1e-150), ({}, 1e-4), ({}, 3.7), ({}, 1e8), ({}, 1e150)]
for mode in MODES:
    CASES.append((mode, 1e-150))
    CASES += [pytest.param(mode, scale, marks=pytest.mark.slow) for scale in (1e-3, 1e150)]
CASES += [
    pytest.param({}, scale, marks=pytest.mark.slow)
    for scale in (1e-100, 1e-20, 1e-8, 1e-3, 0.1, 1e4, 1e20, 1e100)
]


@cache
def plain_fit(mode: str) -> GeometryAwareSelector:
    return fitted(ast.literal_eval(mode), 1.0)


@pytest.mark.parametrize(("settings", "scale"), CASES, ids=str)
def test_the_unit_changes_neither_subset_nor_gap(settings: dict[str, Any], scale: float) -> None:
    plain = plain_fit(str(settings))
    other = fitted(settings, scale)
    assert other.indices_.tolist() == plain.indices_.tolist()
    assert other.swap_optimal_ == plain.swap_optimal_
    assert other.diagnostics_.gap == pytest.approx(plain.diagnostics_.gap, abs=1e-6)
    unit = scale**2
    assert other.objective_ == pytest.approx(plain.objective_ * unit, rel=1e-9)
    assert other.lower_bound_ == pytest.approx(plain.lower_bound_ * unit, rel=1e-6)
    for name, value in plain.terms_.items():
        assert other.terms_[name] == pytest.approx(value * unit, rel=1e-7)
    for name in ("epsilon", "beta", "median_cost", "transport_cost", "lp_value"):
        expected = getattr(plain.diagnostics_, name) * unit
        assert getattr(other.diagnostics_, name) == pytest.approx(expected, rel=1e-7)
    assert [step.objective for step in other.history_] == pytest.approx(
        [step.objective * unit for step in plain.history_], rel=1e-7
    )


@pytest.mark.parametrize("shift", [-3e5, 77.7, 1e6])
def test_a_common_shift_changes_neither_subset_nor_gap(shift: float) -> None:
    plain = fitted({}, 1.0)
    other = fitted({}, 1.0, shift)
    assert other.indices_.tolist() == plain.indices_.tolist()
    assert other.diagnostics_.gap == pytest.approx(plain.diagnostics_.gap, abs=1e-6)


@pytest.mark.parametrize("scale", [1e-150, 1e-8, 1e8, 1e150])
def test_the_unit_of_a_cost_matrix_changes_neither_subset_nor_gap(scale: float) -> None:
    cost = np.square(DATA.features[:, None] - DATA.features).sum(axis=2)
    plain = GeometryAwareSelector(4, **QUICK).fit(None, cost=cost)
    other = GeometryAwareSelector(4, **QUICK).fit(None, cost=cost * scale * scale)
    assert other.indices_.tolist() == plain.indices_.tolist()
    assert other.diagnostics_.gap == pytest.approx(plain.diagnostics_.gap, abs=1e-6)


def test_absolute_parameters_keep_the_units_of_the_caller() -> None:
    relative = fitted({}, 100.0)
    used = relative.diagnostics_
    absolute = fitted({"scale": "absolute", "epsilon": used.epsilon, "beta": used.beta}, 100.0)
    assert absolute.indices_.tolist() == relative.indices_.tolist()
    assert absolute.objective_ == pytest.approx(relative.objective_, rel=1e-9)


@pytest.mark.parametrize("method", sorted(SELECTORS.keys() - {"geometry_aware"}))
@pytest.mark.parametrize("scale", SCALES)
def test_no_selector_depends_on_the_unit(method: str, scale: float) -> None:
    def choose(unit: float) -> Selector:
        selector = SELECTORS[method](budget=5, seed=3)
        difficulty = DATA.cross_entropy * unit
        return selector.fit(DATA.features * unit, difficulty=difficulty)

    plain = choose(1.0)
    other = choose(scale)
    assert other.indices_.tolist() == plain.indices_.tolist()
    if np.isfinite(plain.objective_):
        assert other.objective_ == pytest.approx(plain.objective_ * scale**2, rel=1e-9)
    assert np.isfinite(other.received_mass_).all()


@pytest.mark.parametrize("method", SELECTORS)
@pytest.mark.parametrize("scale", [1e-200, 1e-160, 1e160, 1e200, 1e300])
def test_a_scale_without_room_for_squares_is_refused_in_one_sentence(
    method: str, scale: float
) -> None:
    with pytest.raises(InputError, match="features must differ by 1e-150 to 1e150"):
        SELECTORS[method](budget=5).fit(DATA.features * scale, difficulty=DATA.cross_entropy)


def test_features_far_larger_than_a_given_cost_are_refused() -> None:
    with pytest.raises(InputError, match="give both in the same units"):
        GeometryAwareSelector(5).fit(DATA.features, cost=np.full((24, 24), 1e-300))


@pytest.mark.parametrize("name", ["epsilon", "epsilon_relative"])
@pytest.mark.parametrize("value", [1e-320, 1e-300, 1e-30])
def test_an_epsilon_that_is_lost_in_rounding_is_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^{name} must be"):
        GeometryAwareSelector(5).set_params(**{name: value}).fit(DATA.features)


@pytest.mark.parametrize("method", SELECTORS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("array", ["features", "difficulty"])
def test_values_that_are_not_finite_are_refused_by_name(
    method: str, value: float, array: str
) -> None:
    features = DATA.features.copy()
    difficulty = DATA.cross_entropy.copy()
    target = features if array == "features" else difficulty
    target.flat[7] = value
    with pytest.raises(InputError, match=f"{array} must be finite"):
        SELECTORS[method](budget=5).fit(features, difficulty=difficulty)


TINY = pytest.param(1e-150, marks=pytest.mark.slow)


@pytest.mark.parametrize("method", SELECTORS)
@pytest.mark.parametrize("scale", [TINY, pytest.param(1.0, marks=pytest.mark.slow), 1e150])
def test_duplicates_give_distinct_images(method: str, scale: float) -> None:
    features = np.repeat(DATA.features[:4], 8, axis=0) * scale
    difficulty = np.repeat(DATA.cross_entropy[:4], 8)
    settings = QUICK if method == "geometry_aware" else {}
    selector = SELECTORS[method](budget=7, **settings).fit(features, difficulty=difficulty)
    assert len(set(selector.indices_.tolist())) == 7
    assert np.isfinite(selector.received_mass_).all()


@pytest.mark.parametrize("method", ["geometry_aware", "herding", "k_medoids"])
def test_the_watcher_sees_the_units_of_the_caller(method: str) -> None:
    seen: list[Moment] = []
    settings = QUICK if method == "geometry_aware" else {}
    selector = SELECTORS[method](budget=5, **settings).watch(seen.append)
    selector.fit(DATA.features * 1e6)
    last = [moment.objective for moment in seen if moment.objective is not None][-1]
    assert last == pytest.approx(selector.objective_, rel=1e-6)
