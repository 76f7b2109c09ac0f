"""Exact and near copies in a class: found whatever the units and the order of the rows."""

import numpy as np
import pytest

from otcondense.errors import InputError
from otcondense.selection.copies import CopyGroups, find_copies

SHARE = 0.2


def names(count: int) -> list[str]:
    return [f"c/{number:04}.png" for number in range(count)]


def spread(count: int, width: int = 300, seed: int = 0) -> np.ndarray:
    """Return features of different images, long enough to be projected."""
    return np.random.default_rng(seed).normal(size=(count, width))


def found(
    features: np.ndarray, sha256: list[str] | None = None, share: float = SHARE
) -> CopyGroups:
    ids = names(len(features))
    return find_copies(features, ids, sha256 or ids, share)


@pytest.mark.parametrize("width", [6, 300])
def test_near_copies_form_one_group_and_all_others_none(width: int) -> None:
    features = spread(200, width)
    noise = np.random.default_rng(1).normal(size=(50, width))
    features[100:150] = features[7] + 0.02 * noise
    groups = found(features)
    (group,) = groups.groups()
    assert group.tolist() == [7, *range(100, 150)]
    assert (groups.exact, groups.near) == (0, 50)
    apart = np.linalg.norm(features[100:150] - features[7], axis=1)
    np.testing.assert_allclose(groups.distance[100:150], apart)
    assert apart.max() <= groups.threshold == SHARE * groups.neighbour_distance


def test_the_usual_distance_is_that_to_the_fifth_neighbour() -> None:
    features = spread(60, 5)
    apart = np.linalg.norm(features[:, None] - features[None], axis=2)
    expected = np.median(np.sort(apart, axis=1)[:, 5])
    assert found(features).neighbour_distance == pytest.approx(expected)


@pytest.mark.parametrize("unit", [1e-140, 1e-3, 1.0, 1e140])
def test_the_groups_do_not_depend_on_the_unit_of_the_features(unit: float) -> None:
    features = spread(80)
    features[40:60] = features[:20] * 1.01
    expected = found(features)
    scaled = found(features * unit)
    assert scaled.leader.tolist() == expected.leader.tolist()
    assert len(expected.copies) == 20
    assert scaled.threshold == pytest.approx(unit * expected.threshold)


@pytest.mark.parametrize("seed", range(5))
def test_the_groups_do_not_depend_on_the_order_of_the_rows(seed: int) -> None:
    features = spread(120)
    features[60:] = features[:60] + 0.03 * spread(60, seed=2)
    sha256 = names(120)
    sha256[5] = sha256[90]
    expected = find_copies(features, names(120), sha256, SHARE)
    order = np.random.default_rng(seed).permutation(120)
    moved = find_copies(
        features[order], [names(120)[row] for row in order], [sha256[row] for row in order], SHARE
    )
    assert order[moved.leader].tolist() == expected.leader[order].tolist()
    assert moved.distance.tolist() == expected.distance[order].tolist()
    assert moved.threshold == expected.threshold


def test_equal_bytes_are_one_group_whatever_the_features() -> None:
    features = spread(20)
    sha256 = names(20)
    sha256[4] = sha256[17] = sha256[2]
    groups = find_copies(features, names(20), sha256, 0.0)
    assert [group.tolist() for group in groups.groups()] == [[2, 4, 17]]
    assert (groups.exact, groups.near, groups.threshold) == (2, 0, 0.0)


def test_exact_copies_of_a_near_copy_are_in_its_group() -> None:
    features = spread(30)
    features[20] = features[3] + 1e-3
    features[25] = features[20]
    sha256 = names(30)
    sha256[25] = sha256[20]
    groups = find_copies(features, names(30), sha256, SHARE)
    assert [group.tolist() for group in groups.groups()] == [[3, 20, 25]]
    assert (groups.exact, groups.near) == (1, 1)
    assert groups.distance[25] == groups.distance[20] > 0


def test_unknown_bytes_equal_nothing() -> None:
    features = spread(10)
    assert not len(find_copies(features, names(10), [""] * 10, SHARE).copies)


def test_every_member_of_a_group_is_a_copy_of_its_leader_so_that_chains_are_cut() -> None:
    features = spread(200)
    step = np.zeros(300)
    step[0] = 0.6 * found(features).threshold
    features[150:170] = features[0] + np.arange(20)[:, None] * step
    groups = found(features)
    assert groups.distance.max() <= groups.threshold
    chain = [group for group in groups.groups() if group[0] == 0 or group[0] >= 150]
    assert len(chain) > 5
    assert max(len(group) for group in chain) <= 3


@pytest.mark.parametrize("share_of_class", [0.25, 0.45])
def test_a_large_group_does_not_hide_itself(share_of_class: float) -> None:
    features = spread(400)
    count = int(400 * share_of_class)
    features[:count] = features[0] + 0.05 * spread(count, seed=3)
    (group,) = found(features).groups()
    assert len(group) == count


def test_four_copies_of_every_image_are_found() -> None:
    once = spread(40)
    features = np.concatenate([once + 0.02 * spread(40, seed=seed) for seed in range(5)])
    groups = found(features)
    assert {len(group) for group in groups.groups()} == {5}
    assert len(groups.groups()) == 40


def test_one_image_far_away_changes_nothing_for_the_others() -> None:
    features = spread(100)
    features[50:60] = features[:10] + 0.01
    expected = found(features)
    features = np.concatenate([features, np.full((1, 300), 1e10)])
    assert found(features).leader[:100].tolist() == expected.leader.tolist()


@pytest.mark.parametrize("width", [8, 2048])
def test_different_images_are_no_copies(width: int) -> None:
    assert not len(found(spread(500, width)).copies)


def test_images_that_the_features_cannot_tell_apart_are_no_copies() -> None:
    groups = found(np.ones((30, 4)))
    assert (len(groups.copies), groups.threshold) == (0, 0.0)


@pytest.mark.parametrize(("count", "near"), [(1, 0), (2, 0), (5, 0), (6, 1), (7, 1)])
def test_classes_without_a_fifth_neighbour_have_no_near_copies(count: int, near: int) -> None:
    features = spread(count, 40)
    features[-1] = features[0]
    assert found(features).near == near


def test_features_that_are_no_numbers_are_refused() -> None:
    features = spread(5)
    features[2, 1] = np.nan
    with pytest.raises(InputError, match="first in row 2"):
        found(features)
