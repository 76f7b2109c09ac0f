"""Coarse cells, draws by ids, and names of groups."""

import numpy as np
import pytest

from otcondense.datasets.names import check_class_name
from otcondense.grouping.coarse import assign, cells_of, coarse_centres, joined_cells
from otcondense.grouping.config import GroupConfig
from otcondense.grouping.draws import is_drawn, scattered
from otcondense.grouping.names import group_names, separator_of

IDS = [f"folder/{number}.png" for number in range(4000)]


@pytest.mark.parametrize("share", [0.01, 0.25, 0.9, 1.0, 7.0])
def test_a_draw_has_about_the_share_that_is_asked_for(share: float) -> None:
    drawn = is_drawn(IDS, share, "0")
    assert abs(drawn.mean() - min(1.0, share)) < 0.03


def test_a_draw_depends_on_ids_and_salt_alone() -> None:
    drawn = is_drawn(IDS, 0.3, "0")
    assert np.array_equal(is_drawn(IDS[::-1], 0.3, "0"), drawn[::-1])
    assert not np.array_equal(is_drawn(IDS, 0.3, "1"), drawn)
    sizes = np.bincount(scattered(IDS, 8, "0"), minlength=8)
    assert sizes.min() > 400


def test_a_level_aims_at_cells_of_half_the_rows_that_fit() -> None:
    assert [cells_of(size, 100) for size in (101, 1000, 10**7)] == [3, 20, 128]


def test_cells_of_equal_rows_are_divided_by_ids() -> None:
    rows = np.full((len(IDS), 4), 0.7, dtype=np.float32)
    centres = coarse_centres(rows, 8, 0, GroupConfig())
    assert len(centres) == 1
    cells = assign(rows, IDS, centres, 8, 0)
    assert np.bincount(cells, minlength=8).min() > 400


def test_small_cells_join_the_nearest() -> None:
    centres = np.array([[0.0], [1.0], [10.0], [11.0]], dtype=np.float32)
    assert joined_cells({0: 50, 1: 3, 2: 60, 3: 1}, centres, 10) == [(0, 1), (2, 3)]
    assert joined_cells({0: 50, 1: 0, 2: 60, 3: 40}, centres, 10) == [(0,), (2,), (3,)]
    assert joined_cells({0: 2, 1: 2, 2: 2, 3: 2}, centres, 10) == [(0, 1, 2, 3)]
    assert joined_cells({0: 2, 1: 20, 2: 12}, centres[:1], 10) == [(0, 2), (1,)]


@pytest.mark.parametrize(
    "names", [["cat", "dog"], ["a~1", "a"], ["~", "~~~"], ["x" * 244], ["ä" * 122, "b"]]
)
def test_names_of_groups_are_usable_and_collide_with_no_class(names: list[str]) -> None:
    separator = separator_of(names)
    found = []
    for name in names:
        found += group_names(name, 12, separator)
    for group in found:
        check_class_name(group, "the test")
    assert len({*names, *found}) == len(names) + len(found)
    assert [group_names(name, 1, separator) for name in names] == [[name] for name in names]


def test_numbers_have_the_digits_of_the_last() -> None:
    assert group_names("cat", 10, "~")[0] == "cat~01"
    assert group_names("cat", 9, "~")[-1] == "cat~9"
