"""What selectors are given: parameters, lists and arrays of every kind, taken or refused."""

from typing import Any

import numpy as np
import pytest
import torch
from pandas import DataFrame
from scipy.sparse import csr_array

from otcondense.errors import InputError
from otcondense.selection import SELECTORS
from otcondense.selection.arrays import as_numbers
from otcondense.selection.candidates import validate_candidates
from otcondense.selection.selector_config import increasing

every_selector = pytest.mark.parametrize("name", SELECTORS)


def test_an_unknown_setting_of_a_group_is_refused() -> None:
    with pytest.raises(InputError, match=r"lower_bound\.colour is not a setting"):
        SELECTORS["geometry_aware"]().set_params(lower_bound={"colour": 1})


@pytest.mark.parametrize("include", [[True], [b"1"], 3, "12", iter([1, 2])])
def test_a_list_of_other_things_than_indices_is_refused(include: Any) -> None:
    with pytest.raises(InputError, match="include must be"):
        SELECTORS["random"]().set_params(include=include)


@pytest.mark.parametrize("value", [np.int64(5), np.uint8(5), np.float32(5), 5.0])
def test_numbers_of_numpy_are_numbers(value: Any) -> None:
    given = {"budget": value, "seed": value, "include": [value]}
    assert SELECTORS["random"]().set_params(**given).config.include == (5,)


@pytest.mark.parametrize(
    "budgets", [5, None, [], "12", [3, 3], [5, 3], [0, 1], [True], [1.0], [[2]]]
)
def test_what_is_no_list_of_increasing_numbers_is_refused(budgets: Any) -> None:
    with pytest.raises(InputError, match=r"budgets must be a list of increasing numbers >= 1"):
        increasing(budgets)


@pytest.mark.parametrize("budgets", [np.array([2, 5]), iter([2, 5]), (np.int64(2), 5)])
def test_budgets_of_a_path_may_be_any_list(budgets: Any) -> None:
    assert [(type(each), each) for each in increasing(budgets)] == [(int, 2), (int, 5)]


@every_selector
@pytest.mark.parametrize(("setting", "value"), [("budget", 0), ("seed", -1), ("budget", True)])
def test_values_out_of_range_are_named_with_the_found_value(
    name: str, setting: str, value: int
) -> None:
    with pytest.raises(InputError, match=f"{setting}.*found {value!r}"):
        SELECTORS[name](**{setting: value})


@pytest.mark.parametrize("value", [b"5", np.True_, None, [5], np.random.default_rng(0), 1.5, "x"])
@pytest.mark.parametrize("setting", ["budget", "seed"])
def test_what_is_no_whole_number_is_refused(setting: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"{setting} must be a whole number, found"):
        SELECTORS["random"]().set_params(**{setting: value})


@every_selector
def test_an_unknown_choice_is_named_with_the_found_value(name: str) -> None:
    with pytest.raises(InputError, match=r"small_class.*found 'drop'"):
        SELECTORS[name]().set_params(small_class="drop")


@every_selector
def test_an_unknown_parameter_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match="colour"):
        SELECTORS[name](colour="red")


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
def test_invalid_arrays_are_refused_by_name(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        validate_candidates(**arguments)


NO_NUMBERS = [
    ([[1, 2], [3]], "features must have rows of one length"),
    (csr_array(np.eye(3)), r"give features\.toarray\(\)"),
    (torch.eye(3).to_sparse(), r"give features\.to_dense\(\)"),
    (np.ma.masked_less(np.eye(3), 1), "a value everywhere, found masked ones"),
    (np.eye(3) + 1j, "features must be real numbers"),
    ({"a": 1}, "features must be an array of numbers, found {'a': 1}"),
    (None, "features must be an array of numbers, found None"),
    (DataFrame({"x": [1], "t": "u"}), "other values in the column 't'"),
]


@pytest.mark.parametrize(("values", "message"), NO_NUMBERS)
def test_what_is_no_array_of_numbers_is_refused_by_its_kind(values: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_numbers("features", values)


@pytest.mark.parametrize("unit", [1, 5e-324, 5e307])
def test_weights_are_normalised(unit: float) -> None:
    weights = validate_candidates(np.zeros((2, 1)), weights=[unit, 3 * unit]).weights
    assert weights is not None
    assert weights.tolist() == pytest.approx([0.25, 0.75])
