"""Features of a run as files: read by others, and by ourselves with the same selection."""

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from actors.class_selection import run_selector
from otcondense.datasets import SourceConfig, scan_images
from otcondense.errors import InputError, MissingInputError
from otcondense.exports import features as feature_files
from otcondense.exports.features import FEATURE_EXPORTS, FeatureExport, export_features
from otcondense.store import (
    ClassFeatures,
    FeatureView,
    Store,
    class_file,
    read_class_features,
    write_class_features,
)
from pipeline.given_features import import_features

NAMES = ["ant", "bee", "cat", "dog"]
SIZES = {"ant": 9, "bee": 30, "dog": 12}
"""Images of each class that has features; a class of the source has none."""
LENGTH = 5
LOGITS = 4


def class_features(name, size, length=LENGTH, logits=LOGITS):
    draw = np.random.default_rng(NAMES.index(name))
    ids = [f"{name}/ü {number:03d}.png" for number in range(size)]
    return ClassFeatures(
        class_name=name,
        class_index=NAMES.index(name),
        image_ids=ids,
        features=draw.normal(size=(size, length)).astype(np.float32),
        logits=draw.normal(size=(size, logits)).astype(np.float32) if logits else None,
        cross_entropy=None,
        entropy=None,
        max_prob=None,
        width=np.full(size, 8, np.int32),
        height=np.full(size, 8, np.int32),
        sha256=[f"{number:064x}" for number in range(size)],
    )


def write_features(root, sizes=None, **shape):
    store = Store(str(root))
    for name, size in (sizes or SIZES).items():
        write_class_features(store, "features", class_features(name, size, **shape), fingerprint="")
    return store


def described(store, with_logits=False):
    return FeatureExport(store, FeatureView.of("features"), list(SIZES), NAMES, with_logits)


@pytest.fixture
def store(tmp_path):
    return write_features(tmp_path / "run")


def expected(store, column):
    parts = [getattr(read_class_features(store, "features", name), column) for name in SIZES]
    return np.concatenate(parts)


def check_columns(store, found, with_logits):
    """Compare the rows of a reader, as lists, with those of the run."""
    assert list(found["image_id"]) == list(expected(store, "image_ids"))
    assert list(found["sha256"]) == list(expected(store, "sha256"))
    labels = np.repeat([NAMES.index(name) for name in SIZES], list(SIZES.values()))
    assert list(found["label"]) == labels.tolist()
    for column in ("features", "logits") if with_logits else ("features",):
        stored = np.stack(list(found[column]))
        np.testing.assert_array_equal(stored.astype(np.float32), expected(store, column))
    assert ("logits" in found) == with_logits


@pytest.mark.parametrize("with_logits", [False, True])
@pytest.mark.parametrize("rows", [7, 10_000])
def test_parquet_is_read_by_pandas_arrow_and_datasets(
    store, tmp_path, monkeypatch, rows, with_logits
):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(feature_files, "GROUP_BYTES", rows * LENGTH * 4)
    path = str(tmp_path / "features.parquet")
    assert export_features(described(store, with_logits), "parquet", path) == sum(SIZES.values())
    table = pq.read_table(path)
    assert str(table.schema.field("features").type) == f"fixed_size_list<element: float>[{LENGTH}]"
    check_columns(store, table.to_pydict(), with_logits)
    check_columns(store, pd.read_parquet(path), with_logits)
    found = datasets.Dataset.from_parquet(path, cache_dir=str(tmp_path / "cache"))
    assert found.features["label"].names == NAMES
    assert found.features["features"].length == LENGTH
    check_columns(store, found.to_dict(), with_logits)
    groups = pq.ParquetFile(path).metadata.num_row_groups
    assert groups == sum(-(-size // rows) for size in SIZES.values())


@pytest.mark.parametrize("with_logits", [False, True])
def test_npy_is_read_by_numpy_without_pickles(store, tmp_path, with_logits):
    root = tmp_path / "arrays"
    export_features(described(store, with_logits), "npy", str(root))
    found = {path.stem: np.load(path, allow_pickle=False) for path in root.glob("*.npy")}
    assert found["features"].dtype == np.float32
    np.testing.assert_array_equal(found["features"], expected(store, "features"))
    assert list(found["ids"]) == list(expected(store, "image_ids"))
    assert found["labels"].tolist() == np.repeat([0, 1, 3], list(SIZES.values())).tolist()
    assert ("logits" in found) == with_logits
    if with_logits:
        np.testing.assert_array_equal(found["logits"], expected(store, "logits"))
    assert (root / "classes.txt").read_text().splitlines() == NAMES


def exported_source(store, tmp_path, form):
    """Export features and return them as a source of ours, as the documentation says."""
    if form == "npy":
        export_features(described(store), form, str(tmp_path / "arrays"))
        names = str(tmp_path / "arrays" / "classes.txt")
        return SourceConfig(kind="features", path=str(tmp_path / "arrays"), class_names=names)
    path = str(tmp_path / "features.parquet")
    export_features(described(store), form, path)
    return SourceConfig(kind="features", path=path, id_column="image_id")


@pytest.mark.slow
@pytest.mark.parametrize("form", sorted(FEATURE_EXPORTS))
def test_our_own_files_give_the_same_features_and_selection(store, tmp_path, form):
    source = exported_source(store, tmp_path, form)
    assert list(scan_images(source).classes) == NAMES
    again = Store(str(tmp_path / "again"))
    result = import_features(again.root, "features", source, "")
    assert result.num_images == sum(SIZES.values())
    for name in SIZES:
        one = read_class_features(store, "features", name)
        two = read_class_features(again, "features", name)
        assert (one.image_ids, one.class_index) == (two.image_ids, two.class_index)
        np.testing.assert_array_equal(one.features, two.features)
        chosen = []
        for features in (one, two):
            selection = run_selector("geometry_aware", {"budget": 3}, features, lambda _: None)
            chosen.append([features.image_ids[row] for row in selection.indices])
        assert chosen[0] == chosen[1]


@pytest.mark.parametrize("form", sorted(FEATURE_EXPORTS))
def test_the_same_features_give_the_same_bytes(store, tmp_path, form):
    contents = []
    for name in ("one", "two"):
        export_features(described(store, with_logits=True), form, str(tmp_path / name))
        place = tmp_path / name
        files = sorted(place.iterdir()) if place.is_dir() else [place]
        contents.append([path.read_bytes() for path in files])
    assert contents[0] == contents[1]


@pytest.mark.parametrize("form", sorted(FEATURE_EXPORTS))
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"length": LENGTH + 1}, InputError, "must have features of length 5, found 6"),
        ({"logits": 0}, InputError, "has no logits; leave out --logits"),
        (None, MissingInputError, "class_name=dog.* is missing"),
    ],
)
def test_features_that_do_not_fit_leave_nothing(store, tmp_path, form, change, error, message):
    if change is None:
        store.remove(class_file("features", "dog"))
    else:
        write_features(store.root, {"dog": SIZES["dog"]}, **change)
    with pytest.raises(error, match=message):
        export_features(described(store, with_logits=True), form, str(tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("form", sorted(FEATURE_EXPORTS))
def test_one_class_is_in_memory_at_a_time(tmp_path, monkeypatch, form):
    sizes = dict.fromkeys(NAMES, 200)
    store = write_features(tmp_path / "run", sizes, length=5000, logits=0)
    one_class = 200 * 5000 * 4
    made = FeatureExport(store, FeatureView.of("features"), NAMES * 5, NAMES, with_logits=False)
    tracemalloc.start()
    export_features(made, form, str(tmp_path / "out"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert one_class < peak < 5 * one_class


def test_nothing_is_overwritten(store, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="must not exist yet"):
        export_features(described(store), "npy", str(tmp_path / "out"))
    assert Path(tmp_path / "out").read_text() == "mine"
