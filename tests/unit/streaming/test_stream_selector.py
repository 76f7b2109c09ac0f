"""A subset of a stream: what it depends on, and what it does not."""

from collections.abc import Callable

import numpy as np
import pytest

from otcondense.errors import InputError
from otcondense.selection import GeometryAwareSelector
from otcondense.streaming import StreamSelector
from tests.generators.streams import SMALL, fed, points

COUNT = 36
"""Images of a stream."""


def small(budget: int = 2, **settings: object) -> StreamSelector:
    return StreamSelector(budget, **{**SMALL, **settings})


def facts(selector: StreamSelector) -> tuple[object, ...]:
    """Return all that is known of a stream, to be compared."""
    state = selector.state()
    return (state.facts, state.images.to_pylist(), selector.ids_, selector.objective_)


@pytest.fixture(scope="module")
def one_batch() -> StreamSelector:
    return fed(small(), COUNT)


@pytest.mark.parametrize("batch", [1, 7, 13])
def test_state_and_result_do_not_depend_on_the_size_of_the_batches(
    one_batch: StreamSelector, batch: int
) -> None:
    assert facts(fed(small(), batch)) == facts(one_batch)


def test_asking_for_a_result_changes_nothing(one_batch: StreamSelector) -> None:
    selector = small()
    features = points(COUNT)
    for row in range(COUNT):
        labels = [("a", "b", "ü")[row % 7 % 3]]
        selector.partial_fit(features[row : row + 1], ids=[f"image {row}"], labels=labels)
        if row in (20, 21, 30):
            assert len(selector.ids_) == 6
    assert facts(selector) == facts(one_batch)


@pytest.mark.parametrize("count", [1, 7, 20])
def test_a_stored_state_goes_on_as_if_it_had_not_stopped(count: int) -> None:
    features = points(24)
    whole = small().partial_fit(features)
    first = small().partial_fit(features[:count])
    again = StreamSelector.from_state(first.state()).partial_fit(features[count:])
    assert facts(again) == facts(whole)


def test_a_stream_that_fits_into_memory_is_chosen_as_if_it_were_there_at_once() -> None:
    features = points(40)
    selector = StreamSelector(4, block=40).partial_fit(features)
    offline = GeometryAwareSelector(4, rebuilds=0).fit(features)
    assert sorted(selector.indices_) == sorted(offline.indices_)
    assert selector.objective_ == pytest.approx(offline.objective_)
    assert selector.lower_bound_ == pytest.approx(offline.lower_bound_)


def test_the_samples_do_not_depend_on_the_order_of_arrival() -> None:
    features, ids = points(50), [f"image {row}" for row in range(50)]
    order = np.random.default_rng(1).permutation(50)
    forward = small().partial_fit(features, ids=ids)
    shuffled = small().partial_fit(features[order], ids=[ids[row] for row in order])
    for part in ("reservoir", "check"):
        kept = [
            {row["id"] for row in each.state().images.to_pylist() if row["part"] == part}
            for each in (forward, shuffled)
        ]
        assert kept[0] == kept[1]


def test_memory_is_bounded_by_the_settings() -> None:
    selector = small()
    sizes = [len(selector.partial_fit(points(20, seed=n)).state().images) for n in range(3)]
    assert max(sizes) <= 12 + 10 + 2 + 6


def test_a_merged_stream_has_the_samples_and_moments_of_one_stream() -> None:
    features, ids = points(50), [f"image {row}" for row in range(50)]
    whole = small().partial_fit(features, ids=ids)
    parts = [
        small().partial_fit(features[:23], ids=ids[:23]),
        small().partial_fit(features[23:], ids=ids[23:]),
    ]
    merged = parts[0].merge(parts[1])
    again = small().partial_fit(np.ones((1, 3)), ids=["other"])
    assert merged.seen_ == 50
    assert merged.partial_fit(points(3), ids=["x", "y", "z"]).seen_ == 53
    assert len(merged.ids_) == 2
    assert again.merge(small()).seen_ == small().merge(again).seen_ == 1
    one, two = whole._classes["all"].finished(), parts[0].merge(parts[1])._classes["all"]
    assert set(two.reservoir.rows.ids) == set(one.reservoir.rows.ids)
    assert set(two.check.rows.ids) == set(one.check.rows.ids)
    assert one.moments is not None
    assert two.moments is not None
    np.testing.assert_allclose(two.moments.mean, features.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(two.moments.deviation, features.std(axis=0, ddof=1), rtol=1e-5)
    np.testing.assert_allclose(one.moments.deviation, two.moments.deviation, rtol=1e-9)


def test_every_class_keeps_its_budget_and_a_late_class_is_welcome() -> None:
    selector = fed(small(), 20)
    features = points(5, seed=9)
    selector.partial_fit(features, ids=list("vwxyz"), labels=["late"] * 5)
    assert {name: len(each.ids) for name, each in selector.choices_.items()} == {
        "a": 2,
        "b": 2,
        "late": 2,
        "ü": 2,
    }


def test_all_images_of_a_small_class_are_kept_if_asked() -> None:
    selector = small(5, small_class="take_all").partial_fit(points(3))
    assert selector.ids_ == ["0", "1", "2"]
    assert selector.objective_ == 0


def test_cosine_takes_images_at_unit_length() -> None:
    features = points(30) + 1
    plain = small(cost="cosine").partial_fit(features)
    scaled = small(cost="cosine").partial_fit(features * np.arange(1, 31)[:, None])
    assert plain.ids_ == scaled.ids_


@pytest.mark.parametrize("scale", [2.0**-60, 2.0**40])
def test_the_scale_of_the_features_changes_only_the_units(scale: float) -> None:
    plain = small().partial_fit(points(30))
    scaled = small().partial_fit(points(30) * np.float32(scale))
    assert scaled.ids_ == plain.ids_
    assert scaled.objective_ == pytest.approx(plain.objective_ * scale**2)
    assert scaled.upper_bound_ == pytest.approx(plain.upper_bound_ * scale**2)


def test_equal_images_are_a_stream_too() -> None:
    selector = small().partial_fit(np.ones((30, 3)))
    assert len(set(selector.ids_)) == 2
    assert selector.objective_ == pytest.approx(0, abs=1e-12)
    assert selector.upper_bound_ == pytest.approx(0, abs=1e-12)


REFUSED: dict[str, tuple[Callable[[StreamSelector], object], str]] = {
    "another width": (lambda s: s.partial_fit(np.ones((2, 4)), ids=[8, 9]), "another encoder"),
    "nan": (lambda s: s.partial_fit(np.full((1, 3), np.nan), ids=[8]), "must be finite"),
    "too large": (lambda s: s.partial_fit(np.full((1, 3), 1e300), ids=[8]), "32-bit"),
    "texts": (lambda s: s.partial_fit([["a", "b", "c"]], ids=[8]), "must be numeric"),
    "one axis": (lambda s: s.partial_fit(np.ones(3), ids=[8]), "2 dimensions"),
    "no rows": (lambda s: s.partial_fit(np.ones((0, 3)), ids=[]), "at least one image"),
    "ids repeated in a batch": (lambda s: s.partial_fit(np.ones((2, 3)), ids=[8, 8]), "different"),
    "ids repeated in the stream": (lambda s: s.partial_fit(np.ones((1, 3)), ids=[0]), "different"),
    "too few ids": (lambda s: s.partial_fit(np.ones((2, 3)), ids=[8]), "each of 2 rows"),
    "an empty id": (lambda s: s.partial_fit(np.ones((1, 3)), ids=[""]), "found '' in row 0"),
    "no ids": (lambda s: s.partial_fit(np.ones((1, 3))), "all images or with none"),
    "labels": (lambda s: s.partial_fit(np.ones((1, 3)), ids=[8], labels=[1]), "all images"),
    "another state": (lambda s: s.merge(small(3)), "same settings"),
    "the same images": (lambda s: s.merge(small().partial_fit(points(9), ids=range(9))), "second"),
    "no ids to merge": (lambda s: s.merge(small().partial_fit(points(9))), "ids in both"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_batch_leaves_the_state_as_it_was(name: str) -> None:
    act, sentence = REFUSED[name]
    selector = small().partial_fit(points(9), ids=list(range(9)))
    before = facts(selector)
    with pytest.raises(InputError, match=sentence):
        act(selector)
    assert facts(selector) == before


NAMED: dict[str, tuple[Callable[[StreamSelector], object], str]] = {
    "nan": (lambda s: s.partial_fit([[1.0] * 3, [np.nan] * 3], first_row=7), "in row 8"),
    "ids": (lambda s: s.partial_fit(np.ones((2, 3)), ["x", ""], first_row=7), "in row 8"),
    "a pair": (lambda s: s.partial_fit(np.ones((2, 3)), ["x", "x"], first_row=7), "rows 7 and 8"),
    "labels": (lambda s: s.partial_fit(np.ones((1, 3)), None, [None], first_row=8), "in row 8"),
}


@pytest.mark.parametrize("name", NAMED)
def test_rows_are_counted_from_the_number_that_the_batch_begins_with(name: str) -> None:
    act, sentence = NAMED[name]
    with pytest.raises(InputError, match=sentence):
        act(small())


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"budget": 12}, "reservoir must be larger"),
        ({"budget": 0}, "budget"),
        ({"block": 0}, "block"),
        ({"kappa": 0.5}, "kappa"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, float], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        small(**settings)  # type: ignore[arg-type]


def test_a_mistyped_setting_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(TypeError, match="reservoir"):
        StreamSelector(2, resevoir=20)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_images_than_the_budget_are_no_result(count: int) -> None:
    selector = small()
    if count:
        selector.partial_fit(points(count))
    with pytest.raises(InputError, match="arrived"):
        _ = selector.ids_
    assert selector.partial_fit(points(5)).ids_
