"""Tables keep their fingerprint and their bytes, and damage is found."""

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from otcondense.errors import DamagedInputError, InputError, MissingInputError
from otcondense.history import Step
from otcondense.store import (
    ClassFeatures,
    ClassSelection,
    SelectionSummary,
    Store,
    class_file,
    manifest_table,
    read_class_features,
    read_class_selection,
    read_fingerprint,
    read_manifest,
    read_table,
    selection_file,
    selection_measures,
    stored_metadata,
    stored_summary,
    write_class_features,
    write_class_selection,
    write_table,
)


def features(size: int = 5, seed: int = 0) -> ClassFeatures:
    draw = np.random.default_rng(seed)
    return ClassFeatures(
        class_name="n<1>",
        class_index=1,
        image_ids=[f"n<1>/{i:04}.png" for i in range(size)],
        features=draw.normal(size=(size, 7)).astype(np.float32),
        logits=draw.normal(size=(size, 3)).astype(np.float32),
        cross_entropy=draw.random(size).astype(np.float32),
        entropy=None,
        max_prob=None,
        width=np.full(size, 8, np.int32),
        height=np.full(size, 9, np.int32),
        sha256=[f"{i:064x}" for i in range(size)],
    )


def selection(size: int = 5) -> ClassSelection:
    return ClassSelection(
        class_name="n<1>",
        class_index=1,
        image_ids=[f"{i}" for i in range(size)],
        indices=np.array([3, 0]),
        received_mass=np.array([0.3, 0.3, 0.0, 0.4, 0.0]),
        assignment=np.array([0, 0, -1, 3, -1]),
        cross_entropy=np.arange(5, dtype=np.float32),
        sha256=[f"{i:064x}" for i in range(size)],
        rank=np.array([1, 0]),
        gain=np.array([np.nan, 0.5]),
        summary=SelectionSummary(
            objective=1.5,
            lower_bound=1.25,
            swap_optimal=True,
            terms={"transport": 1.5},
            history=(Step(0, "greedy", 3, None, 2.5), Step(1, "swap", 0, 1, 1.5)),
            diagnostics={"gap": 0.25, "swaps": 1, "lower_bound_method": "relaxation"},
            left_out_share=0.4,
        ),
    )


def test_class_features_come_back(tmp_path: Path) -> None:
    store, written = Store(str(tmp_path)), features()
    write_class_features(store, "features/e", written, fingerprint="f1")
    read = read_class_features(store, "features/e", "n<1>")
    np.testing.assert_array_equal(read.features, written.features)
    np.testing.assert_array_equal(read.logits, written.logits.astype(np.float16).astype(np.float32))
    np.testing.assert_array_equal(read.cross_entropy, written.cross_entropy)
    assert (read.image_ids, read.sha256, read.entropy, read.class_index) == (
        written.image_ids,
        written.sha256,
        None,
        1,
    )
    assert read_fingerprint(store, class_file("features/e", "n<1>")) == "f1"


def test_features_say_how_images_became_inputs(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    write_class_features(store, "e", features(), fingerprint="f", transform="2-cpu")
    metadata = stored_metadata(store, class_file("e", "n<1>"))
    assert metadata is not None
    assert metadata["transform"] == "2-cpu"


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    for name in ("a", "b"):
        write_class_features(store, name, features(), fingerprint="f")
    assert store.read_bytes(class_file("a", "n<1>")) == store.read_bytes(class_file("b", "n<1>"))


def test_plain_pyarrow_reads_the_features(tmp_path: Path) -> None:
    store, written = Store(str(tmp_path)), features()
    write_class_features(store, "e", written, fingerprint="f")
    table = pq.ParquetFile(store.path(class_file("e", "n<1>"))).read()
    first = np.frombuffer(table.column("features")[0].as_py(), "<f4")
    np.testing.assert_array_equal(first, written.features[0])


def test_a_table_with_any_flipped_bit_is_not_finished(tmp_path):
    store = Store(str(tmp_path))
    write_table(
        store, "t.parquet", pa.table({"name": ["a", "b"], "number": [1, 2]}), fingerprint="abc"
    )
    data = store.read_bytes("t.parquet")
    assert read_fingerprint(store, "t.parquet") == "abc"
    for position in range(0, len(data), 7):
        store.write_bytes(
            "t.parquet",
            data[:position] + bytes([data[position] ^ 1 << position % 8]) + data[position + 1 :],
        )
        assert read_fingerprint(store, "t.parquet") is None, position


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_a_damaged_table_is_named_and_has_no_fingerprint(tmp_path: Path, damage: str) -> None:
    store = Store(str(tmp_path))
    write_class_features(store, "e", features(200), fingerprint="f")
    name = class_file("e", "n<1>")
    data = bytearray(store.read_bytes(name))
    if damage == "flip":
        data[len(data) // 4] ^= 0x10
    store.write_bytes(name, bytes({"truncate": data[:-20], "flip": data, "empty": b""}[damage]))
    with pytest.raises(DamagedInputError, match=r"^[^\n]*part-0.parquet [^\n]*$") as stop:
        read_table(store, name)
    assert stop.value.file == name
    assert read_fingerprint(store, name) is None


def test_metadata_are_read_without_the_rows(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    write_class_features(store, "a", features(seed=0), fingerprint="f")
    write_class_features(store, "b", features(seed=1), fingerprint="f")
    first, second = (stored_metadata(store, class_file(name, "n<1>")) for name in ("a", "b"))
    assert first["fingerprint"] == second["fingerprint"] == "f"
    assert first["content"] != second["content"]
    assert stored_metadata(store, "nothing") is None


def test_class_selection_comes_back_in_order_of_choice(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    write_class_selection(store, "selection/x", selection(), fingerprint="f")
    read = read_class_selection(store, "selection/x", "n<1>")
    assert read.indices.tolist() == [3, 0]
    np.testing.assert_array_equal(read.gain, [np.nan, 0.5])
    np.testing.assert_array_equal(read.assignment, selection().assignment)
    assert read.summary == selection().summary
    assert read_fingerprint(store, selection_file("selection/x", "n<1>")) == "f"


OLD_SUMMARY = {
    "diagnostics": {"exact_solves": 7, "gap": 0.25, "swaps": 1},
    "history": [
        {"added": 3, "objective": 2.5, "removed": None, "stage": "greedy", "step": 0},
        {"added": 0, "objective": 1.5, "removed": 1, "stage": "swap", "step": 1},
    ],
    "left_out_share": 0.4,
    "lower_bound": None,
    "objective": 1.5,
    "swap_optimal": True,
    "terms": {"transport": 1.5},
}
"""The summary in the selection files of version 0.1."""


def test_the_json_of_a_summary_has_not_changed() -> None:
    assert SelectionSummary.from_json(OLD_SUMMARY).to_json() == OLD_SUMMARY


def test_the_summary_is_read_without_the_rows(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    assert stored_summary(store, "selection/x", "n<1>") is None
    write_class_selection(store, "selection/x", selection(), fingerprint="f")
    assert stored_summary(store, "selection/x", "n<1>") == selection().summary


def test_measures_leave_out_unknown_figures() -> None:
    assert selection_measures(SelectionSummary.from_json(OLD_SUMMARY)) == {
        "objective": 1.5,
        "left_out_share": 0.4,
        "swap_optimal": 1.0,
        "gap": 0.25,
        "swaps": 1.0,
        "transport": 1.5,
    }


def test_the_manifest_has_the_represented_mass_of_each_chosen_image(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    write_table(store, "subset.parquet", manifest_table([selection()]), fingerprint="f")
    rows = read_manifest(store, "subset.parquet").to_pylist()
    assert [row["image_id"] for row in rows] == ["3", "0"]
    assert [row["choice"] for row in rows] == [0, 1]
    assert [row["rank"] for row in rows] == [1, 0]
    assert [row["represented_mass"] for row in rows] == pytest.approx([0.4, 0.6])
    assert [row["weight"] for row in rows] == pytest.approx([0.8, 1.2])
    assert rows[0]["gain"] is None
    assert rows[1]["gain"] == 0.5


def test_a_table_of_other_columns_is_no_manifest(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    write_table(store, "x.parquet", pa.table({"image_id": ["a"]}), fingerprint="f")
    with pytest.raises(InputError, match="must have the columns"):
        read_manifest(store, "x.parquet")


def test_a_missing_file_is_named_relative_to_the_run(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with pytest.raises(
        MissingInputError, match=r"there is no subset manifest /.*y\.parquet$"
    ) as seen:
        read_manifest(store, "y.parquet")
    assert seen.value.file == "y.parquet"
    copy = pickle.loads(pickle.dumps(seen.value))
    assert (type(copy), str(copy), copy.file) == (MissingInputError, str(seen.value), "y.parquet")
