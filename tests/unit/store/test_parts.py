"""A class in several files: read as one, or part by part, and never in part by mistake."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from otcondense.errors import InputError, MissingInputError
from otcondense.store import (
    ClassFeatures,
    FeaturePart,
    FeatureView,
    PartOf,
    Store,
    class_file,
    class_files,
    read_class_features,
    read_part,
    stored_metadata,
    with_confidences,
    write_class_features,
)

ROWS = 10
CONFIDENCES = ("logits", "cross_entropy", "entropy", "max_prob")
ARRAYS = ("features", "width", "height", *CONFIDENCES)
SPLIT = (np.array([0, 3, 7, 9]), np.array([1, 2, 8]), np.array([4, 5, 6]))
"""Rows of each part: the images of a class, in the order of the storage."""


def class_features(seed: int, width: int) -> ClassFeatures:
    draws = np.random.default_rng(seed).normal(size=(ROWS, width)).astype(np.float32)
    return ClassFeatures(
        class_name="ant",
        class_index=0,
        image_ids=[f"ant/{row:03d}" for row in range(ROWS)],
        features=draws,
        logits=draws[:, :2],
        cross_entropy=draws[:, 0],
        entropy=draws[:, 1],
        max_prob=draws[:, 2],
        width=np.arange(ROWS, dtype=np.int32),
        height=np.arange(ROWS, dtype=np.int32),
        sha256=[f"{row:064x}" for row in range(ROWS)],
    )


def of_rows(whole: ClassFeatures, rows: np.ndarray, part: PartOf) -> ClassFeatures:
    return replace(
        whole,
        image_ids=[whole.image_ids[row] for row in rows],
        sha256=[whole.sha256[row] for row in rows],
        part=part,
        **{name: getattr(whole, name)[rows] for name in ARRAYS},
    )


def write_parts(store: Store, directory: str, whole: ClassFeatures) -> None:
    for number, rows in enumerate(SPLIT):
        part = of_rows(whole, rows, PartOf(number, len(SPLIT)))
        write_class_features(store, directory, part, fingerprint="")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A run with a class in parts (a, b), and the same in one file (one, two)."""
    store = Store(str(tmp_path))
    for seed, (parted, whole) in enumerate((("a", "one"), ("b", "two"))):
        features = class_features(seed, 3 + seed)
        write_parts(store, parted, features)
        write_class_features(store, whole, features, fingerprint="")
    return store


def assert_same(one: ClassFeatures, other: ClassFeatures) -> None:
    for name in ("image_ids", "sha256", "class_name", "class_index", "part"):
        assert getattr(one, name) == getattr(other, name)
    for name in ARRAYS:
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


def test_the_parts_of_a_class_are_read_as_the_class(store: Store) -> None:
    assert_same(read_class_features(store, "a", "ant"), read_class_features(store, "one", "ant"))
    names = class_files(store, "a", "ant")
    assert names == [f"a/class_name=ant/part-{number}.parquet" for number in range(3)]


def test_a_class_in_one_file_says_nothing_of_parts(store: Store) -> None:
    assert class_files(store, "one", "ant") == [class_file("one", "ant")]
    metadata = stored_metadata(store, class_file("one", "ant"))
    assert metadata is not None
    assert not {"part", "parts"} & metadata.keys()


def test_a_class_that_is_not_there_has_the_name_of_its_first_file(store: Store) -> None:
    assert class_files(store, "a", "bee") == [class_file("a", "bee")]
    assert not FeatureView.of("a").is_there(store, "bee")


def test_a_missing_part_is_missed(store: Store) -> None:
    store.remove(class_file("a", "ant", 1))
    view = FeatureView.of("a")
    assert not view.is_there(store, "ant")
    with pytest.raises(MissingInputError, match=r"part-1\.parquet is missing"):
        view.read(store, "ant")


def test_parts_of_two_extractions_are_refused(store: Store) -> None:
    whole = class_features(0, 3)
    stale = of_rows(whole, np.array([0, 1]), PartOf(1, 3))
    write_class_features(store, "a", stale, fingerprint="")
    with pytest.raises(InputError, match="must be of one extraction"):
        read_class_features(store, "a", "ant")
    write_class_features(store, "a", of_rows(whole, SPLIT[1], PartOf(1, 4)), fingerprint="")
    with pytest.raises(InputError, match="must be of one extraction"):
        read_class_features(store, "a", "ant")


def test_a_part_in_the_place_of_another_is_refused(store: Store) -> None:
    data = store.read_bytes(class_file("a", "ant", 2))
    store.write_bytes(class_file("a", "ant", 1), data)
    with pytest.raises(InputError, match="must hold part 1 of class ant, found part 2"):
        read_part(store, "a", "ant", 1)


def view_of(*directories: str, is_unit: bool = False) -> FeatureView:
    parts = [FeaturePart(name, is_unit, 1.0 + row) for row, name in enumerate(directories)]
    return FeatureView(tuple(parts))


@pytest.mark.parametrize("directories", [("a",), ("a", "b")])
@pytest.mark.parametrize("is_unit", [False, True])
def test_the_rows_of_the_parts_are_those_of_the_class(
    store: Store, directories: tuple[str, ...], is_unit: bool
) -> None:
    view = view_of(*directories, is_unit=is_unit)
    whole = view.read(store, "ant").features
    for number, rows in enumerate(SPLIT):
        part = view.read_part(store, "ant", number)
        assert part.part == PartOf(number, 3)
        assert part.features.tobytes() == whole[rows].tobytes()


@pytest.mark.parametrize("is_unit", [False, True])
def test_unit_rows_do_not_depend_on_the_parts(store: Store, is_unit: bool) -> None:
    parted = view_of("a", is_unit=is_unit).read(store, "ant")
    assert_same(parted, view_of("one", is_unit=is_unit).read(store, "ant"))


def test_a_small_class_is_its_own_part_zero(store: Store) -> None:
    view = view_of("one", "two")
    assert_same(view.read_part(store, "ant", 0), view.read(store, "ant"))
    assert view.files(store, "ant") == [class_file("one", "ant"), class_file("two", "ant")]


@pytest.mark.parametrize("directory", ["b", "two"])
def test_confidences_are_found_in_parts_and_in_one_file(store: Store, directory: str) -> None:
    expected = read_class_features(store, "two", "ant")
    whole = with_confidences(store, read_class_features(store, "a", "ant"), directory)
    for name in CONFIDENCES:
        assert getattr(whole, name).tobytes() == getattr(expected, name).tobytes()
    for number, rows in enumerate(SPLIT):
        part = with_confidences(store, read_part(store, "a", "ant", number), directory)
        for name in CONFIDENCES:
            assert getattr(part, name).tobytes() == getattr(expected, name)[rows].tobytes()


def test_confidences_that_lack_a_part_are_missed(store: Store) -> None:
    whole = read_class_features(store, "a", "ant")
    store.remove(class_file("b", "ant", 2))
    with pytest.raises(MissingInputError, match=r"part-2\.parquet is missing"):
        with_confidences(store, whole, "b")
    write_class_features(store, "c", of_rows(whole, SPLIT[0], PartOf()), fingerprint="")
    with pytest.raises(MissingInputError, match="must hold the 10 images"):
        with_confidences(store, whole, "c")
