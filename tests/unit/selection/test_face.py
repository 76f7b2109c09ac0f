"""The face that every selector shows: one row a selector."""

from typing import Any

import numpy as np
import pytest
import torch

from otcondense.errors import InputError
from otcondense.selection import SELECTORS, Selector
from otcondense.selection.base import validate_candidates

ROWS: list[tuple[str, dict[str, Any]]] = [
    ("geometry_aware", {"alpha": 0.0, "rebuilds": 2}),
    ("random", {}),
    ("herding", {}),
    ("herding", {"variant": "deepcore"}),
    ("k_center", {}),
    ("k_center", {"start": "medoid"}),
    ("ccs", {}),
    ("ccs", {"hard": "high", "strata": 4}),
    ("dq", {}),
    ("d2c", {}),
    ("d2c", {"variant": "medium"}),
    ("nearest_mean", {}),
    ("k_means", {}),
    ("k_medoids", {}),
]
NEEDS = {
    "ccs": "difficulty",
    "d2c": "difficulty",
    "herding": "features",
    "k_means": "features",
    "nearest_mean": "features",
    "dq": "features",
}
REFUSES = {"geometry_aware"}
"""Selectors that refuse, by an error, a class that leaves nothing to choose: one no larger than kappa * budget, or of equal images."""
every_selector = pytest.mark.parametrize(
    ("name", "settings"),
    ROWS,
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())),
)


def arrays(seed: int = 0, n: int = 30) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 4))
    return {
        "features": rng.normal(size=(n, 5)),
        "difficulty": rng.normal(size=n),
        "logits": logits,
        "cross_entropy": rng.random(n),
    }


def fit(
    name: str, settings: dict[str, Any], budget: int, data: dict[str, Any], **more: Any
) -> Selector:
    selector = SELECTORS[name](budget=budget, **settings, **more)
    return selector.fit(
        data["features"], **{key: value for key, value in data.items() if key != "features"}
    )


def test_every_selector_has_a_row() -> None:
    assert {name for name, _ in ROWS} == set(SELECTORS)


@every_selector
@pytest.mark.parametrize("budget", [1, 2, 7, 28])
def test_chooses_exactly_the_budget_and_tells_who_stands_for_whom(
    name: str, settings: dict[str, Any], budget: int
) -> None:
    selector = fit(name, settings, budget, arrays())
    chosen = selector.indices_.tolist()
    assert len(set(chosen)) == len(chosen) == budget
    assert set(chosen) <= set(range(30))
    assert selector.represented_mass_.shape == selector.assignment_.shape == (30,)
    assert selector.represented_mass_.sum() == pytest.approx(1)
    assert set(selector.assignment_.tolist()) <= {-1, *chosen}
    steps = selector.history_
    if all(step["stage"] == "greedy" for step in steps):
        assert [step["added"] for step in steps] == chosen


@every_selector
def test_a_budget_of_the_whole_class_takes_it(name: str, settings: dict[str, Any]) -> None:
    if name in REFUSES:
        with pytest.raises(InputError, match="must be below the number of images"):
            fit(name, settings, 30, arrays())
    else:
        assert sorted(fit(name, settings, 30, arrays()).indices_.tolist()) == list(range(30))


@every_selector
def test_same_input_same_choice_also_after_another_fit(name: str, settings: dict[str, Any]) -> None:
    first = fit(name, settings, 6, arrays(), seed=3)
    expected = first.indices_.tolist()
    first.fit(**arrays(seed=8, n=20))
    assert first.assignment_.shape == (20,)
    assert first.fit(**arrays()).indices_.tolist() == expected


@every_selector
def test_duplicates_and_constant_features_still_give_distinct_images(
    name: str, settings: dict[str, Any]
) -> None:
    data = arrays() | {
        "features": np.ones((30, 5)),
        "difficulty": np.zeros(30),
        "logits": np.zeros((30, 4)),
        "cross_entropy": np.zeros(30),
    }
    if name in REFUSES:
        with pytest.raises(InputError, match="features must differ"):
            fit(name, settings, 9, data)
    else:
        assert len(set(fit(name, settings, 9, data).indices_.tolist())) == 9


@every_selector
@pytest.mark.parametrize("kind", ["float16", "integers", "strided", "tensor", "bfloat16"])
def test_takes_any_numeric_array(name: str, settings: dict[str, Any], kind: str) -> None:
    whole = np.rint(arrays()["features"] * 4)
    as_kind = {
        "float16": whole.astype(np.float16),
        "integers": whole.astype(np.int32),
        "strided": np.repeat(whole, 2, axis=0)[::2],
        "tensor": torch.from_numpy(whole),
        "bfloat16": torch.from_numpy(whole).bfloat16(),
    }
    data = arrays()
    expected = fit(name, settings, 5, data | {"features": whole}).indices_
    assert (fit(name, settings, 5, data | {"features": as_kind[kind]}).indices_ == expected).all()


@every_selector
def test_a_class_smaller_than_the_budget_is_refused_or_taken_whole(
    name: str, settings: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match="found budget 31 for 30 images"):
        fit(name, settings, 31, arrays())
    assert sorted(
        fit(name, settings, 31, arrays(), small_class="take_all").indices_.tolist()
    ) == list(range(30))


@every_selector
def test_a_class_of_one_image(name: str, settings: dict[str, Any]) -> None:
    if name in REFUSES:
        with pytest.raises(InputError, match="must be below the number of images"):
            fit(name, settings, 1, arrays(n=1))
    else:
        assert fit(name, settings, 1, arrays(n=1)).indices_.tolist() == [0]


@every_selector
def test_what_a_selector_needs_is_named(name: str, settings: dict[str, Any]) -> None:
    needed = NEEDS.get(name)
    data = arrays() | {"cost": np.ones((30, 30)) - np.eye(30)}
    if needed is None:
        assert len(fit(name, settings, 3, data | {"features": None}).indices_) == 3
    else:
        with pytest.raises(InputError, match=f"{name} needs `{needed}`"):
            fit(name, settings, 3, data | {needed: None})


@every_selector
@pytest.mark.parametrize(
    ("setting", "value"), [("budget", 0), ("seed", -1), ("small_class", "drop"), ("colour", "red")]
)
def test_settings_out_of_range_are_named_with_what_was_found(
    name: str, settings: dict[str, Any], setting: str, value: Any
) -> None:
    with pytest.raises(InputError, match=f"{setting}.*found {value!r}"):
        SELECTORS[name](**(settings | {setting: value}))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": None}, "features or cost must be given"),
        ({"features": np.zeros((0, 3))}, "at least one image"),
        ({"features": np.zeros((3, 0))}, "at least one image and one column"),
        ({"features": np.zeros(3)}, r"features must have 2 dimension\(s\), found shape \(3,\)"),
        ({"features": np.array([["a"]])}, "features must be numeric"),
        (
            {"features": np.array([[0.0], [np.nan]])},
            "features must be finite, found 1 .* first in row 1",
        ),
        ({"features": np.array([[np.inf]])}, "features must be finite"),
        (
            {"features": np.zeros((3, 1)), "cross_entropy": [0, 0]},
            r"cross_entropy must have one row per image \(3\), found 2",
        ),
        (
            {"features": np.zeros((2, 1)), "cross_entropy": [0, -1]},
            "cross_entropy must be >= 0, found -1.0 in row 1",
        ),
        (
            {"features": np.zeros((2, 1)), "weights": [0, 0]},
            "weights must be >= 0 with a positive sum",
        ),
        ({"features": None, "cost": np.zeros((2, 3))}, "cost must be a square matrix"),
        (
            {"features": None, "cost": -np.ones((2, 2))},
            "cost must be a square matrix of values >= 0",
        ),
        (
            {"features": np.zeros((3, 1)), "cost": np.zeros((2, 2))},
            "cost must have one row per image",
        ),
    ],
)
def test_bad_arrays_are_refused_by_name(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        validate_candidates(**arguments)


def test_weights_are_normalised() -> None:
    weights = validate_candidates(np.zeros((2, 1)), weights=[1, 3]).weights
    assert weights is not None
    assert weights.tolist() == [0.25, 0.75]
