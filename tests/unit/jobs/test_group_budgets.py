"""The budget of a class, shared among its groups."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.forecasts.image_stages import SourceFacts
from jobs.forecasts.run_stages import later_stages
from jobs.run_directory.budgets import ForcedImages
from jobs.run_directory.groups import Groups, expected_units
from jobs.work_units.group_budgets import (
    POWERS,
    ClassOfGroups,
    classes_of_groups,
    shared,
    shared_by_gains,
)
from otcondense.errors import InputError
from otcondense.forecast.hardware import PRESETS
from tests.generators.grouped_runs import MOST, grouped_run

SIZES = {"a~1": 50, "a~2": 30, "a~3": 20}


def one_class(
    sizes: dict[str, int], distinct: dict[str, int] | None = None, **lists: ForcedImages
) -> ClassOfGroups:
    groups = Groups(sizes, distinct or sizes, dict.fromkeys(sizes, "a"))
    (found,) = classes_of_groups(groups, lists, has_copies=distinct is None)
    return found


def test_proportional_numbers_are_rounded_by_the_largest_remainders() -> None:
    (found,) = shared(one_class(SIZES), [11], "proportional")
    assert found == {"a~1": 6, "a~2": 3, "a~3": 2}


@pytest.mark.parametrize("rule", sorted(POWERS))
@pytest.mark.parametrize("seed", range(5))
def test_larger_budgets_take_no_image_from_any_group(rule: str, seed: int) -> None:
    generator = np.random.default_rng(seed)
    sizes = {f"g{each}": int(size) for each, size in enumerate(generator.integers(1, 60, 9))}
    of = one_class(sizes)
    budgets = list(range(9, sum(sizes.values()) + 1))
    before = dict.fromkeys(sizes, 0)
    for budget, numbers in zip(budgets, shared(of, budgets, rule), strict=True):
        assert sum(numbers.values()) == budget
        assert all(before[name] <= numbers[name] <= sizes[name] for name in sizes)
        before = numbers


def test_gains_share_what_the_paths_know_and_sizes_the_rest() -> None:
    paths = {
        "a~1": {1: 1.0, 2: 0.99},
        "a~2": {1: 9.0, 2: 5.0, 3: 3.0, 4: 2.0},
        "a~3": {1: 4.0, 2: 3.9},
    }
    few, many = shared_by_gains(one_class(SIZES), [6, 50], paths)
    assert few == {"a~1": 1, "a~2": 4, "a~3": 1}
    assert sum(many.values()) == 50
    assert many["a~1"] > many["a~3"]


def test_a_group_without_a_path_gives_its_share_by_size() -> None:
    paths: dict[str, dict[int, float]] = {"a~1": {}, "a~2": {1: 2.0, 2: 1.0}, "a~3": {1: 1.0}}
    (found,) = shared_by_gains(one_class(SIZES), [10], paths)
    assert found["a~1"] >= 5


def test_images_that_must_be_chosen_raise_the_least_and_excluded_ones_lower_the_most() -> None:
    must = ForcedImages(include=[f"{number}" for number in range(4)])
    out = ForcedImages(exclude=[f"{number}" for number in range(49)])
    of = one_class(SIZES, None, **{"a~3": must, "a~1": out})
    (found,) = shared(of, [20], "proportional")
    assert found["a~1"] == 1
    assert found["a~3"] >= 4
    with pytest.raises(InputError, match=r"must give 6"):
        shared(of, [5], "proportional")


@pytest.mark.parametrize("rule", sorted(POWERS))
def test_what_a_group_of_copies_lacks_is_given_by_others(rule: str) -> None:
    of = one_class(SIZES, {"a~1": 1, "a~2": 30, "a~3": 2})
    (found,) = shared(of, [20], rule)
    assert (found["a~1"], sum(found.values())) == (1, 20)
    assert found["a~3"] <= 2
    (all_that_there_are,) = shared(of, [90], rule)
    assert all_that_there_are == {"a~1": 1, "a~2": 30, "a~3": 2}


def test_gains_take_no_copies() -> None:
    paths = {"a~1": {1: 9.0}, "a~2": {1: 2.0, 2: 1.9}, "a~3": {1: 3.0, 2: 1.0}}
    of = one_class(SIZES, {"a~1": 1, "a~2": 30, "a~3": 2})
    (found,) = shared_by_gains(of, [20], paths)
    assert (found["a~1"], sum(found.values())) == (1, 20)


def test_fewer_images_than_groups_are_refused_with_both_numbers() -> None:
    with pytest.raises(InputError, match=r"class a 2 images, but it has 3 groups"):
        shared(one_class(SIZES), [2], "sqrt")


@pytest.mark.parametrize(
    ("labels", "sizes"), [("keep", {"a": 9, "b": 31}), ("ignore", {"all": 40})]
)
def test_a_forecast_counts_every_image_once(
    labels: str, sizes: dict[str, int], tmp_path: Path
) -> None:
    run = grouped_run(tmp_path, labels)
    units = expected_units(run.config, sizes, dict.fromkeys(sizes, 8))
    assert sum(unit.size for unit in units) >= 40
    assert all(unit.size <= MOST for unit in units)


@pytest.mark.parametrize(
    ("settings", "added"),
    [
        ({}, []),
        ({"polish": True}, ["polishing"]),
        ({"allocation": "objective"}, ["sharing the budget"]),
        ({"allocation": "objective", "polish": True}, ["sharing the budget", "polishing"]),
    ],
)
@pytest.mark.parametrize("labels", ["keep", "ignore"])
def test_a_forecast_counts_what_groups_add(
    labels: str, settings: dict[str, Any], added: list[str], tmp_path: Path
) -> None:
    run = grouped_run(tmp_path, labels, methods=["geometry_aware", "random"], **settings)
    facts = SourceFacts({"a": 900, "b": 31}, mean_bytes=100.0)
    stages = later_stages(run.config, facts, PRESETS["1xH100"])
    chosen, drawn = (each for each in stages if each.name == "select_subset")
    assert [term.name for term in chosen.terms] == ["reading", "searching", *added]
    assert [term.name for term in drawn.terms] == ["reading", "searching"]
    assert all(term.seconds > 0 for term in chosen.terms)
