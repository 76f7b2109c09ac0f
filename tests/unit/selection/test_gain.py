"""What each chosen image is worth: the increase of the objective when it is left out."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import linprog

from otcondense.selection import SELECTORS, GeometryAwareSelector, Selector
from otcondense.selection.baselines.subzerocore import density_weights, neighbourhood, radii
from otcondense.selection.candidates import Candidates
from otcondense.selection.objective import build_problem

Array = NDArray[np.float64]
Rest = Callable[[Selector, dict[str, Any], list[int]], float]

GEOMETRY: list[dict[str, Any]] = [
    {},
    {"kappa": 1.0},
    {"kappa": 1.5, "statistics": "full"},
    {"alpha": 0.0, "beta": 0.5},
    {"objective": "transport"},
    {"solver": "sinkhorn"},
]


def data(n: int = 40, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "features": rng.normal(size=(n, 3)) * 7,
        "cross_entropy": rng.random(n),
        "difficulty": rng.random(n),
        "logits": rng.normal(size=(n, 2)),
        "weights": rng.random(n) + 0.2,
    }


def costs(given: dict[str, Any]) -> Array:
    x = given["features"]
    return np.asarray(np.square(x[:, None] - x[None]).sum(-1))


def mass(given: dict[str, Any]) -> Array:
    return np.asarray(given["weights"] / given["weights"].sum())


def of_herding(_: Selector, given: dict[str, Any], rest: list[int]) -> float:
    x = given["features"]
    return float(np.square(x[rest].mean(0) - mass(given) @ x).sum())


def of_nearest_mean(_: Selector, given: dict[str, Any], rest: list[int]) -> float:
    x = given["features"]
    return float(np.square(x[rest] - mass(given) @ x).sum(1).mean())


def of_k_center(_: Selector, given: dict[str, Any], rest: list[int]) -> float:
    return float(costs(given)[rest].min(0).max())


def of_k_medoids(_: Selector, given: dict[str, Any], rest: list[int]) -> float:
    return float(costs(given)[rest].min(0) @ mass(given))


def of_subzerocore(selector: Selector, given: dict[str, Any], rest: list[int]) -> float:
    cost = costs(given)
    count = neighbourhood(len(cost), len(selector.indices_), 0.6)
    weight = density_weights(radii(cost, count))
    return float((cost.max() - weight[:, None] * (cost.max() - cost))[rest].min(0) @ mass(given))


def of_uniprot(selector: Selector, given: dict[str, Any], rest: list[int]) -> float:
    cost, share = costs(given), 1 / len(selector.indices_)
    found = linprog(
        cost[rest].ravel(),
        A_ub=np.kron(np.ones((1, len(rest))), np.eye(len(cost))),
        b_ub=mass(given),
        A_eq=np.kron(np.eye(len(rest)), np.ones((1, len(cost)))),
        b_eq=np.full(len(rest), share),
    )
    return float(found.fun + cost.max() * share)  # the image's mass is not shipped


PLAIN: dict[str, Rest] = {
    "herding": of_herding,
    "nearest_mean": of_nearest_mean,
    "k_center": of_k_center,
    "k_medoids": of_k_medoids,
    "subzerocore": of_subzerocore,
    "uniprot": of_uniprot,
}
"""Objective of a rest, written out plainly."""


def fitted(
    name: str, budget: int = 5, *, seed: int = 0, **settings: Any
) -> tuple[Selector, dict[str, Any]]:
    more = {"lower_bound": None, "rebuilds": 0} if name == "geometry_aware" else {}
    given = data(seed=seed)
    return SELECTORS[name](budget=budget, **more, **settings).fit(**given), given


def rests(selector: Selector) -> list[list[int]]:
    chosen = selector.indices_.tolist()
    return [chosen[:place] + chosen[place + 1 :] for place in range(len(chosen))]


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("seed", range(3))
def test_the_gain_is_the_increase_of_the_objective_without_the_image(name: str, seed: int) -> None:
    selector, given = fitted(name, seed=seed, include=[7])
    expected = [PLAIN[name](selector, given, rest) for rest in rests(selector)]
    assert selector.gain_ == pytest.approx(
        np.array(expected) - selector.objective_, abs=1e-9 * costs(given).max()
    )


@pytest.mark.parametrize("settings", GEOMETRY, ids=str)
def test_the_gain_of_the_geometry_aware_selector_is_that_of_solved_subsets(
    settings: dict[str, Any],
) -> None:
    selector, given = fitted("geometry_aware", budget=4, **settings)
    assert isinstance(selector, GeometryAwareSelector)
    given = {name: given[name] for name in ("features", "cross_entropy", "weights")}
    given["weights"] = mass(given)
    config = selector.config.model_copy(update={"kappa": selector.kappa_})
    problem, _ = build_problem(config, Candidates(**given), 1)
    expected = np.array([problem.exact_objective(rest) for rest in rests(selector)])
    assert selector.gain_ == pytest.approx(expected - selector.objective_, rel=1e-5, abs=1e-5)


def test_the_gain_of_the_authors_selection_is_that_of_its_own_objective() -> None:
    given = data()
    selector = GeometryAwareSelector(4, reference="authors", epsilon=30.0, beta=1.0)
    selector.fit(given["features"], cross_entropy=given["cross_entropy"])
    assert np.isfinite(selector.gain_).all()
    assert selector.gain_[selector.rank_.argmin()] == selector.gain_.max()


@pytest.mark.parametrize("name", SELECTORS)
@pytest.mark.parametrize("budget", [1, 5])
def test_ranks_order_the_gains_and_the_first_choice_wins_ties(name: str, budget: int) -> None:
    selector, _ = fitted(name, budget)
    known = bool(np.isfinite(selector.gain_).all())
    assert known == (bool(np.isfinite(selector.objective_)) and budget > 1)
    assert known or np.isnan(selector.gain_).all()
    assert sorted(selector.rank_.tolist()) == list(range(budget))
    if known:
        by_rank = selector.gain_[np.argsort(selector.rank_)]
        assert (np.diff(by_rank) <= 1e-5 * np.abs(by_rank).max()).all()
    else:
        assert selector.rank_.tolist() == list(range(budget))


def test_copies_in_a_subset_gain_nothing_and_rank_last_in_order_of_choice() -> None:
    features = np.array([[0.0], [0.0], [0.0], [9.0], [9.5]])
    selector = SELECTORS["k_medoids"](budget=4, include=[0, 2, 1, 3]).fit(features)
    assert selector.gain_[:3].tolist() == [0, 0, 0]
    assert selector.rank_.tolist() == [1, 2, 3, 0]


@pytest.mark.parametrize("name", SELECTORS)
def test_the_represented_mass_is_what_the_assigned_images_receive(name: str) -> None:
    selector, _ = fitted(name)
    for index, share in zip(selector.indices_, selector.represented_mass_, strict=True):
        assert share == pytest.approx(selector.received_mass_[selector.assignment_ == index].sum())
    assert selector.represented_mass_.sum() <= 1 + 1e-9
    assert selector.received_mass_.sum() == pytest.approx(1)


@pytest.mark.parametrize("name", ["geometry_aware", *PLAIN, "k_means"])
def test_gains_have_the_units_of_the_objective(name: str) -> None:
    given = data()
    small = SELECTORS[name](budget=3).fit(**given)
    large = SELECTORS[name](budget=3).fit(**given | {"features": given["features"] * 8})
    assert large.indices_.tolist() == small.indices_.tolist()
    assert large.gain_ == pytest.approx(small.gain_ * 64)


def test_gains_of_k_means_are_those_of_its_centres() -> None:
    features = np.array([[0.0], [0.5], [10.0], [10.5], [30.0]])
    selector = SELECTORS["k_means"](budget=3).fit(features)
    by_image = dict(zip(selector.indices_.tolist(), selector.gain_.tolist(), strict=True))
    centres = np.array([0.25, 10.25, 30.0])
    inertia = float(np.square(features - centres).min(1).mean())
    without_30 = float(np.square(features - centres[:2]).min(1).mean())
    assert by_image[4] == pytest.approx(without_30 - inertia)


@pytest.mark.parametrize("threads", [1, 2])
def test_gains_do_not_depend_on_threads(threads: int) -> None:
    torch.set_num_threads(1)
    one, _ = fitted("geometry_aware", threads=1)
    other, _ = fitted("geometry_aware", threads=threads)
    assert one.gain_.tobytes() == other.gain_.tobytes()
