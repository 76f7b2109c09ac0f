"""Swaps in groups under the statistics of the whole class."""

import numpy as np
import pytest

from otcondense.selection import GeometryAwareSelector
from otcondense.selection.polished import PolishConfig, polish

SIZE = 30
NUMBER = 3
EPSILON = 0.05


def draw(seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return features of a class of two groups, and the rows of each."""
    generator = np.random.default_rng(seed)
    first, second = generator.normal(size=(SIZE, 4)), generator.normal(size=(SIZE, 4)) + 2
    return np.vstack([first, second]), [np.arange(SIZE), np.arange(SIZE, 2 * SIZE)]


def transport(features: np.ndarray, chosen: np.ndarray) -> float:
    """Return the transport term of a subset of one group."""
    selector = GeometryAwareSelector(
        budget=len(chosen), include=chosen.tolist(), alpha=0.0, lower_bound=None, rebuilds=0
    )
    return selector.fit(features).objective_


def statistics(features: np.ndarray, chosen: np.ndarray) -> float:
    rows = features[chosen]
    mean = np.square(rows.mean(axis=0) - features.mean(axis=0)).sum()
    spread = np.square(rows.std(axis=0, ddof=1) - features.std(axis=0, ddof=1)).sum()
    return float(mean + spread)


def value(features: np.ndarray, groups: list[np.ndarray], chosen: list[np.ndarray]) -> float:
    """Return the objective of the swaps, from the selector and from numpy."""
    parts = [
        len(rows) / len(features) * transport(features[rows], mine - rows[0])
        for rows, mine in zip(groups, chosen, strict=True)
    ]
    return sum(parts) + statistics(features, np.concatenate(chosen))


@pytest.mark.parametrize("seed", range(3))
def test_no_swap_in_any_group_is_better_afterwards(seed: int) -> None:
    features, groups = draw(seed)
    start = [rows[:NUMBER] for rows in groups]
    found = polish(features, groups, start)
    best = value(features, groups, found)
    assert best < value(features, groups, start)
    for number, rows in enumerate(groups):
        for place in range(NUMBER):
            for row in np.setdiff1d(rows, found[number])[::7]:
                other = [each.copy() for each in found]
                other[number][place] = row
                assert value(features, groups, other) >= best * (1 - 1e-6)


def test_numbers_and_groups_stay() -> None:
    features, groups = draw(0)
    start = [groups[0][:2], groups[1][:5]]
    found = polish(features, groups, start)
    assert [len(set(each.tolist())) for each in found] == [2, 5]
    assert all(
        set(each.tolist()) <= set(rows.tolist()) for each, rows in zip(found, groups, strict=True)
    )


def test_a_second_polish_changes_nothing_and_whole_groups_stay() -> None:
    features, groups = draw(1)
    start = [groups[0], groups[1][:NUMBER]]
    found = polish(features, groups, start)
    assert np.array_equal(found[0], groups[0])
    again = polish(features, groups, found)
    assert all(np.array_equal(*pair) for pair in zip(found, again, strict=True))


def test_one_group_with_one_image_and_equal_images_can_be_polished() -> None:
    features = np.zeros((6, 2))
    (found,) = polish(features, [np.arange(6)], [np.array([2])], PolishConfig(kappa=1.0))
    assert found.tolist() == [2]
