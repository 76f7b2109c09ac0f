"""What a budget means for classes of any sizes."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.run_directory.budget_rules import ALLOCATIONS, Budget, check_budget, label, resolve
from jobs.run_directory.selection_config import SelectionConfig
from otcondense.errors import InputError

SIZES = {"a": 4, "b": 100, "c": 100, "d": 49}

sizes_of_classes = st.dictionaries(st.text(min_size=1), st.integers(1, 2000), min_size=1)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (3, [3, 3, 3, 3]),
        ("1%", [1, 1, 1, 1]),
        ("2.5%", [1, 3, 3, 1]),
        ("50%", [2, 50, 50, 25]),
        ("100%", [4, 100, 100, 49]),
        ({"total": 4}, [1, 1, 1, 1]),
        ({"total": 21}, [4, 6, 6, 5]),
        ({"total": 253, "allocation": "sqrt"}, [4, 100, 100, 49]),
        ({"total": 30, "allocation": "sqrt"}, [2, 11, 10, 7]),
        ({"total": 30, "allocation": "proportional"}, [1, 12, 11, 6]),
        ({"a": 1, "b": "10%", "c": 7, "d": "1%"}, [1, 10, 7, 1]),
    ],
)
def test_budgets_by_class(budget: Budget, expected: list[int]) -> None:
    check_budget(budget, "budget")
    assert list(resolve(budget, SIZES).values()) == expected


@given(sizes_of_classes, st.sampled_from(ALLOCATIONS), st.data())
def test_a_total_is_met_exactly_and_fits_every_class(
    sizes: dict[str, int], allocation: str, data: st.DataObject
) -> None:
    total = data.draw(st.integers(len(sizes), sum(sizes.values())))
    budget: Budget = {"total": total, "allocation": allocation}
    images = resolve(budget, sizes)
    assert sum(images.values()) == total
    assert all(1 <= images[name] <= size for name, size in sizes.items())
    assert resolve(budget, dict(reversed(sizes.items()))) == images
    by_size = sorted(sizes, key=lambda name: sizes[name])
    for smaller, larger in pairwise(by_size):
        assert images[smaller] <= images[larger] + 1


@given(sizes_of_classes)
def test_shares_grow_with_the_share_and_leave_no_class_empty(sizes: dict[str, int]) -> None:
    path = [resolve(share, sizes) for share in ("0.1%", "1%", "10%", "100%")]
    for name, size in sizes.items():
        counts = [images[name] for images in path]
        assert counts == sorted(counts)
        assert (counts[0] >= 1, counts[-1]) == (True, size)


@pytest.mark.parametrize("total", [3, 254])
def test_a_total_below_one_image_a_class_or_above_all_is_refused(total: int) -> None:
    with pytest.raises(InputError, match=f"from 4 .* to 253 .*, found {total}"):
        resolve({"total": total}, SIZES)


@pytest.mark.parametrize(
    "budget",
    [0, -1, True, 1.0, 1.5, "inf", "1e3", {"cat": True}, {"total": True}, {"cat": 2.0}, "1", "0%",
     "101%", "-1%", "nan%", "x%", "%", "", {}, {"total": 0}, {"total": "1%"},
     {"total": 5, "allocation": "cubic"}, {"total": 5, "cat": 0}, {"cat": "many"}],
)  # fmt: skip
def test_budgets_that_mean_nothing_are_refused(budget: Any) -> None:
    with pytest.raises(ValueError, match="budget"):
        check_budget(budget, "budget")
    with pytest.raises(ValueError, match="budget"):
        SelectionConfig(budget=budget)


@pytest.mark.parametrize(
    ("budget", "plain"),
    [
        (0.01, "1%"),
        (0.005, "0.5%"),
        ({"cat": 0.5, "dog": 3}, {"cat": "50%", "dog": 3}),
        ({0: 3, 1: 0.25}, {"0": 3, "1": "25%"}),
        ({"total": 10}, {"total": 10}),
    ],
)
def test_a_share_has_one_name_in_a_configuration(budget: Any, plain: Any) -> None:
    assert SelectionConfig(budget=budget).budget == plain
    assert SelectionConfig(budgets=[0.01, "5%"]).budgets == ("1%", "5%")


@pytest.mark.parametrize("budget", [{"a": 1}, {**SIZES, "e": 1}])
def test_a_budget_by_class_names_every_class(budget: Budget) -> None:
    with pytest.raises(InputError, match=r"selection\.budget must name every class once"):
        resolve(budget, SIZES)


@pytest.mark.parametrize("budgets", [(10, 5), (5, 5), (5, "10%"), ("10%", "10.0%"), (0,), ("a",)])
def test_nested_budgets_must_increase(budgets: Any) -> None:
    with pytest.raises(ValueError, match="budgets"):
        SelectionConfig(budgets=budgets)


def test_the_names_of_subsets() -> None:
    plain = SelectionConfig(methods=("random", "dq"))
    assert plain.subsets == ("random", "dq")
    nested = SelectionConfig(methods=("random", "dq"), budgets=("1%", "2.5%"))
    assert nested.subsets == ("random-1pct", "random-2.5pct", "dq-1pct", "dq-2.5pct")
    assert nested.subset("dq-2.5pct").budgets == ("1%", "2.5%")
    assert nested.named(["dq", "random-1pct"]) == ("dq-1pct", "dq-2.5pct", "random-1pct")
    assert [label(budget) for budget in (10, "10%", "0.05%")] == ["10", "10pct", "0.05pct"]
