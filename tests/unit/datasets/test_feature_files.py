import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from otcondense.datasets import (
    SourceConfig,
    list_images,
    read_features,
    read_image_bytes,
    scan_images,
)
from otcondense.errors import InputError
from otcondense.store import Store, read_class_features
from pipeline.given_features import import_features

FEATURES = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
LABELS = [2, 0, 1, 0, 2, 1, 0, 0, 2]


def columns(features=FEATURES, labels=LABELS, kind=None):
    kind = kind or pa.list_(pa.float32())
    if isinstance(kind, pa.FixedShapeTensorType):
        values = pa.FixedShapeTensorArray.from_numpy_ndarray(features)
    else:
        values = pa.array([row.tolist() for row in features], kind)
    return pa.table({"features": values, "label": pa.array(labels)})


def parquet(root, table=None):
    table = columns() if table is None else table
    root.mkdir(exist_ok=True)
    pq.write_table(table.slice(0, 5), root / "a.parquet", row_group_size=2)
    pq.write_table(table.slice(5), root / "b.parquet")


def npy(root, features=FEATURES, labels=LABELS, **more):
    root.mkdir(exist_ok=True)
    np.save(root / "features.npy", features)
    np.save(root / "labels.npy", np.array(labels))
    for name, values in more.items():
        np.save(root / f"{name}.npy", np.array(values))


WRITERS = {
    "lists": parquet,
    "fixed lists": lambda root: parquet(root, columns(kind=pa.list_(pa.float32(), 4))),
    "large lists": lambda root: parquet(root, columns(kind=pa.large_list(pa.float64()))),
    "tensors": lambda root: parquet(root, columns(kind=pa.fixed_shape_tensor(pa.float32(), [4]))),
    "npy": npy,
}


@pytest.mark.parametrize("form", WRITERS)
def test_every_form_gives_the_same_features(tmp_path, form):
    WRITERS[form](tmp_path / "data")
    source = SourceConfig(path=str(tmp_path / "data"), kind="features")
    result = import_features(str(tmp_path / "run"), "features", source, "stage")
    assert (result.num_images, result.classes_done, result.classes_skipped) == (9, 3, 0)
    for label in range(3):
        found = read_class_features(Store(str(tmp_path / "run")), "features", str(label))
        rows = [row for row, each in enumerate(LABELS) if each == label]
        np.testing.assert_array_equal(found.features, FEATURES[rows])
        assert (found.class_index, found.logits, found.width.max()) == (label, None, 0)
        assert found.image_ids == sorted(found.image_ids)
    again = import_features(str(tmp_path / "run"), "features", source, "stage")
    assert (again.classes_done, again.classes_skipped) == (0, 3)


def test_small_groups_read_the_same(tmp_path, monkeypatch):
    parquet(tmp_path / "data")
    source = SourceConfig(path=str(tmp_path / "data"), kind="features")
    import_features(str(tmp_path / "run"), "features", source, "stage")
    monkeypatch.setattr("pipeline.given_features.GROUP_BYTES", 1)
    import_features(str(tmp_path / "other"), "features", source, "stage")
    one, other = Store(str(tmp_path / "run")), Store(str(tmp_path / "other"))
    assert {name: one.read_bytes(name) for name in one.list("features")} == {
        name: other.read_bytes(name) for name in other.list("features")
    }


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2"])
def test_rows_of_an_array_in_a_store_are_those_of_a_local_one(tmp_path, order, dtype):
    array = np.asarray(FEATURES, dtype=dtype, order=order)
    npy(tmp_path / "data", array)
    name = f"rows-{order}-{np.dtype(dtype).name}"
    for each in (tmp_path / "data").iterdir():
        with fsspec.open(f"memory://{name}/{each.name}", "wb") as file:
            file.write(each.read_bytes())
    found = []
    for path in (str(tmp_path / "data"), f"memory://{name}"):
        source = SourceConfig(path=path, kind="features")
        listing = scan_images(source)
        found.append([read_features(source, listing, np.array(rows)) for rows in ([5], [7, 3, 4])])
    for here, there in zip(*found, strict=True):
        np.testing.assert_array_equal(here, there)


def test_row_groups_of_several_lengths_are_refused(tmp_path):
    (tmp_path / "data").mkdir()
    table = pa.table({"features": [[1.0], [2.0], [1.0, 2.0], [3.0, 4.0]], "label": [0] * 4})
    pq.write_table(table, tmp_path / "data" / "a.parquet", row_group_size=2)
    source = SourceConfig(path=str(tmp_path / "data"), kind="features")
    with pytest.raises(InputError, match=r"must all have one length, found \[1, 2\]"):
        read_features(source, scan_images(source), np.arange(4))


def test_ids_and_text_labels(tmp_path):
    npy(
        tmp_path / "data",
        labels=[f"class {label}" for label in LABELS],
        ids=[f"clip/{row}" for row in range(9)],
    )
    source = SourceConfig(path=str(tmp_path / "data"), kind="features")
    records = list_images(source)
    assert [record.image_id for record in records if record.class_name == "class 1"] == [
        "clip/2",
        "clip/5",
    ]
    rows = np.arange(4)
    np.testing.assert_array_equal(
        read_features(source, scan_images(source), rows), FEATURES[[1, 3, 6, 7]]
    )
    with pytest.raises(InputError, match="holds features and no images"):
        read_image_bytes(records[0].path)


def half(root):
    npy(root)
    (root / "labels.npy").unlink()


def spoiled(root):
    bad = FEATURES.copy()
    bad[3, 1] = np.nan
    npy(root, bad)


def pickled(root):
    npy(root)
    np.save(root / "labels.npy", np.array([{"a": 1}] * 9, dtype=object), allow_pickle=True)


def ragged(root):
    root.mkdir()
    pq.write_table(pa.table({"features": [[1.0], [1.0, 2.0]], "label": [0, 1]}), root / "a.parquet")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (half, r"must hold features\.npy and labels\.npy, found features\.npy alone"),
        (
            spoiled,
            r"must be finite, found NaN or infinite values for features\.npy/00000003 and 0 more",
        ),
        (pickled, r"labels\.npy is not a readable array"),
        (ragged, "lists of one length without gaps"),
        (lambda root: npy(root, labels=LABELS[:8]), r"found float32 \[9, 4\] and \[8\]"),
        (lambda root: npy(root, ids=["a"] * 9), "id of its own, found 1 more than once: a"),
        (lambda root: npy(root, ids=["a"]), "one id for each label, found 1 for 9"),
        (
            lambda root: parquet(root, columns().rename_columns(["embedding", "label"])),
            "no column 'features'; set source.features_column",
        ),
        (
            lambda root: parquet(root, pa.table({"features": LABELS, "label": LABELS})),
            "must be lists of floating-point numbers, found int64",
        ),
    ],
)
def test_bad_features_are_refused(tmp_path, write, message):
    write(tmp_path / "data")
    with pytest.raises(InputError, match=message):
        import_features(
            str(tmp_path / "run"),
            "features",
            SourceConfig(path=str(tmp_path / "data"), kind="features"),
            "stage",
        )
