"""Features as a selection sees them: unit rows, and several encoders joined."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from otcondense.errors import InputError, MissingInputError
from otcondense.store import (
    ClassFeatures,
    FeaturePart,
    FeatureView,
    Store,
    read_class_features,
    write_class_features,
)
from otcondense.store.feature_view import MEDIAN_ROWS, joined, median_squared_distance
from otcondense.unit_rows import unit_rows


def class_features(seed: int, width: int, scale: float = 1.0, count: int = 20) -> ClassFeatures:
    draws = np.random.default_rng(seed).normal(size=(count, width))
    nothing = np.zeros(count, np.int32)
    return ClassFeatures(
        class_name="ant",
        class_index=0,
        image_ids=[f"ant/{row:03d}" for row in range(count)],
        features=(scale * draws).astype(np.float32),
        logits=draws[:, :2].astype(np.float32),
        cross_entropy=None,
        entropy=None,
        max_prob=None,
        width=nothing,
        height=nothing,
        sha256=[f"{row:064x}" for row in range(count)],
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(str(tmp_path))
    write_class_features(store, "a", class_features(0, 5, 1000), fingerprint="")
    write_class_features(store, "b", class_features(1, 3, 0.001), fingerprint="")
    return store


def test_one_encoder_is_seen_as_it_is_stored(store: Store) -> None:
    view = FeatureView.of("a")
    assert (view.rules, view.name, view.directories) == ([], "a", ("a",))
    found = view.read(store, "ant").features
    assert found.tobytes() == read_class_features(store, "a", "ant").features.tobytes()


def test_the_distance_of_joined_features_is_the_weighted_sum_in_medians(store: Store) -> None:
    view = FeatureView((FeaturePart("a"), FeaturePart("b", weight=3.0)))
    found = view.read(store, "ant")
    stored = [read_class_features(store, name, "ant") for name in ("a", "b")]
    expected = np.zeros((20, 20))
    for weight, each in zip((1, 3), stored, strict=True):
        rows = each.features.astype(np.float64)
        expected += (
            weight * cdist(rows, rows, "sqeuclidean") / np.median(pdist(rows, "sqeuclidean"))
        )
    rows = found.features.astype(np.float64)
    np.testing.assert_allclose(cdist(rows, rows, "sqeuclidean"), expected, rtol=1e-5, atol=1e-9)
    assert found.features.dtype == np.float32
    of_first = stored[0].logits
    assert found.logits is not None
    assert of_first is not None
    assert np.array_equal(found.logits, of_first)
    assert view.read(store, "ant").features.tobytes() == found.features.tobytes()


def test_views_have_names_and_rules_of_their_own(store: Store) -> None:
    one, two = FeaturePart("a"), FeaturePart("b")
    views = [
        FeatureView((one,)),
        FeatureView((replace(one, is_unit=True),)),
        FeatureView((one, two)),
        FeatureView((two, one)),
        FeatureView((one, replace(two, weight=2.0))),
        FeatureView((one, replace(two, is_unit=True))),
    ]
    assert len({view.name for view in views}) == len(views)
    assert [bool(view.rules) for view in views] == [False, True, True, True, True, True]


def test_unit_rows_are_the_cosine_cost() -> None:
    rows = np.random.default_rng(0).normal(size=(9, 4)) * np.geomspace(1e-200, 1e200, 9)[:, None]
    unit = unit_rows(rows)
    angles = 1 - unit @ unit.T
    np.testing.assert_allclose(cdist(unit, unit, "sqeuclidean"), 2 * angles, atol=1e-14)
    plain = rows[3:6]
    np.testing.assert_allclose(angles[3:6, 3:6], cdist(plain, plain, "cosine"), atol=1e-12)


def test_a_row_of_zeros_is_named(store: Store) -> None:
    features = class_features(0, 5)
    features.features[7] = 0
    write_class_features(store, "a", features, fingerprint="")
    with pytest.raises(InputError, match="features of ant/007 must not all be 0"):
        FeatureView((FeaturePart("a", is_unit=True),)).read(store, "ant")


def test_encoders_must_have_seen_the_same_images(store: Store) -> None:
    write_class_features(store, "b", class_features(1, 3, count=19), fingerprint="")
    with pytest.raises(MissingInputError, match="the same 20 images"):
        FeatureView((FeaturePart("a"), FeaturePart("b"))).read(store, "ant")


@pytest.mark.parametrize(
    ("rows", "median"),
    [
        ([[0.0], [2.0], [2.0], [2.0]], 4.0),  # copies are no distance
        ([[3.0], [3.0]], 1.0),
        ([[3.0]], 1.0),
        ([[0.0], [1.0], [3.0]], 4.0),
    ],
)
def test_the_median_is_of_pairs_that_differ(rows: list[list[float]], median: float) -> None:
    assert median_squared_distance(np.array(rows)) == median


def test_a_large_class_is_measured_on_images_evenly_spaced() -> None:
    rows = np.random.default_rng(0).normal(size=(3 * MEDIAN_ROWS, 6))
    taken = rows[np.linspace(0, len(rows) - 1, MEDIAN_ROWS).round().astype(int)]
    found = median_squared_distance(rows)
    assert found == np.median(pdist(taken, "sqeuclidean"))
    assert found == pytest.approx(np.median(pdist(rows, "sqeuclidean")), rel=0.02)


def test_joining_depends_on_no_unit() -> None:
    parts = [np.random.default_rng(k).normal(size=(30, 4)) for k in range(2)]
    one = joined(parts, [1.0, 1.0])
    other = joined([8 * parts[0], parts[1] / 64], [1.0, 1.0])
    np.testing.assert_array_equal(one, other)
