"""Files of features in every form: read as they are meant, or refused in one sentence."""

import argparse
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.select.arrays import find_features, open_arrays
from jobs.select.rows import read_rows
from otcondense.errors import InputError

PLAIN = np.arange(12, dtype=np.float32).reshape(4, 3)
LISTS = PLAIN.tolist()
Writer = Callable[[Path], Any]


def array(name: str, values: Any) -> tuple[str, Writer]:
    return name, lambda path: np.save(path, values)


def column(values: Any, kind: Any = None) -> tuple[str, Writer]:
    table = pa.table({"features": pa.array(values, kind)})
    return "f.parquet", lambda path: pq.write_table(table, path)


def content(name: str, data: bytes) -> tuple[str, Writer]:
    return name, lambda path: path.write_bytes(data)


def truncated(path: Path) -> None:
    np.savez(path, features=PLAIN)
    path.write_bytes(path.read_bytes()[:-90])


def encrypted(path: Path) -> None:
    """A member that claims to be encrypted."""
    np.savez(path, features=PLAIN)
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)


def without_arrays(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nothing")


STRUCT = [{"a": 1.0}] * 4
ACCEPTED = {
    "64 bits": array("f.npy", PLAIN.astype(np.float64)),
    "big-endian": array("f.npy", PLAIN.astype(">f8")),
    "Fortran order": array("f.npy", np.asfortranarray(PLAIN)),
    "float16": array("f.npy", PLAIN.astype(np.float16)),
    "whole numbers": array("f.npy", PLAIN.astype(np.uint8)),
    "npz of one array": ("f.npz", lambda path: np.savez(path, PLAIN)),
    "lists": column(LISTS),
    "lists of whole numbers": column([list(map(int, row)) for row in LISTS]),
    "fixed lists": column(LISTS, pa.list_(pa.float32(), 3)),
    "large lists": column(LISTS, pa.large_list(pa.float64())),
    "float16 lists": column(LISTS, pa.list_(pa.float16())),
}
REFUSED = {
    "no rows": (array("f.npy", PLAIN[:0]), "must be numbers [n, d], found float32 [0, 3]"),
    "no columns": (array("f.npy", PLAIN[:, :0]), "its rows have no bytes: float32 [4, 0]"),
    "three axes": (array("f.npy", PLAIN[None]), "numbers [n, d], found float32 [1, 4, 3]; give"),
    "one value": (array("f.npy", np.float32(1)), "numbers [n, d], found float32 []"),
    "complex": (array("f.npy", PLAIN + 1j), "it holds complex64, not plain numbers"),
    "structure": (array("f.npy", np.zeros(4, "f4,f4")), "not plain numbers or text"),
    "objects": (array("f.npy", np.array([[None]])), "it holds object, not plain numbers"),
    "texts": (array("f.npy", np.array([["a"]])), "numbers [n, d], found <U1 [1, 1]"),
    "not a number": (array("f.npy", [[0.0], [np.nan]]), "must be finite, found nan in row 1"),
    "too large": (array("f.npy", [[0.0], [1e200]]), "must fit 32-bit numbers, found 1e+200"),
    "empty": (content("f.npy", b""), "is not a readable array of plain numbers or text"),
    "cut off": (content("f.npy", b"\x93NUMPY\1\0\x76\0{'descr'"), "is not a readable array"),
    "empty npz": (content("f.npz", b""), "is not a readable .npz file"),
    "cut off npz": (("f.npz", truncated), "is not a readable .npz file"),
    "encrypted npz": (("f.npz", encrypted), "is not a readable array"),
    "npz without arrays": (("f.npz", without_arrays), "must have an array `features`"),
    "empty Parquet": (content("f.parquet", b""), "is not a readable Parquet file"),
    "folder": (("f.npy", Path.mkdir), "f.npy must be a file, found a folder there"),
    "csv": (content("f.csv", b"1,2"), "file, found {path}; write one with numpy.save"),
    "Parquet without rows": (column([], pa.list_(pa.float32())), "must have rows, found none"),
    "map": (column([[("a", 1.0)]] * 4, pa.map_(pa.string(), pa.float32())), "found map<"),
    "structures": (column(STRUCT), "or lists of numbers of one length, found struct<a: double>"),
    "lists of lists": (column([LISTS] * 2), "found list<element: list<"),
    "lists of texts": (column([["a"]] * 4), "found list<element: string>"),
    "ragged": (column([[1.0], [1.0, 2.0]]), "one length without gaps, found the lengths 1, 2"),
    "rows without a list": (column([[1.0], None]), "without gaps, found gaps"),
    "lists with gaps": (column([[1.0], [None]]), "without gaps, found gaps"),
    "empty lists": (column([[], []], pa.list_(pa.float32())), "found the lengths 0"),
    "decimals": (column([[1]], pa.list_(pa.decimal128(5, 2))), "found list<element: decimal128"),
    "one number a row": (column([1.0, 2.0]), "numbers [n, d], found float64 [2]"),
    "dictionary": (column(["a"] * 4, pa.dictionary(pa.int8(), pa.string())), "found object [4]"),
}


@pytest.mark.parametrize("written", ACCEPTED.values(), ids=ACCEPTED)
def test_features_are_read_in_every_form(tmp_path: Path, written: tuple[str, Writer]) -> None:
    name, write = written
    write(tmp_path / name)
    found = find_features(open_arrays(str(tmp_path / name)))
    assert found.dtype == np.float32
    assert found.tolist() == LISTS


@pytest.mark.parametrize(("written", "message"), REFUSED.values(), ids=REFUSED)
def test_other_content_is_refused_by_file_and_form(
    tmp_path: Path, written: tuple[str, Writer], message: str
) -> None:
    name, write = written
    path = tmp_path / name
    write(path)
    with pytest.raises(InputError) as found:
        find_features(open_arrays(str(path)))
    text = str(found.value)
    assert str(path) in text
    assert message.format(path=path) in text
    assert "source." not in text, "`select` has no such setting"


OTHERS = {
    "a gap": ("labels", pa.array(["a", None, "b", "b"]), "found none in row 1"),
    "dates": ("labels", pa.array([0] * 4, pa.date32()), "column labels of {path} must hold"),
    "NaN": ("labels", np.array([0, 1, np.nan, 1]), "found nan in row 2"),
    "one label": ("labels", np.array("a"), "a value for each of 4 rows, found a single value"),
    "bytes": ("labels", np.array([b"a", b"\xff", b"b", b"b"]), "must be texts in UTF-8"),
    "a surrogate": ("ids", np.array(list("abc\ud800")), "its texts are not valid Unicode"),
    "NUL": ("ids", pa.array(["a", "b", "c", "d\0"]), "ids in row 3 must be plain text"),
    "twice": ("ids", np.array(list("abca")), "found 'a' in the rows 0 and 3"),
    "below 0": ("cross_entropy", np.array([1, 0, 3, -1.0]), "at least 0, found -1 in row 3"),
    "infinite": ("logits", np.full((4, 2), np.inf), "logits must be finite 32-bit numbers"),
}


@pytest.mark.parametrize(("name", "values", "message"), OTHERS.values(), ids=OTHERS)
def test_what_is_known_of_rows_is_refused_by_name_and_row(
    tmp_path: Path, name: str, values: Any, message: str
) -> None:
    np.save(tmp_path / "f.npy", PLAIN)
    path = tmp_path / "other.npy"
    if isinstance(values, np.ndarray):
        np.save(path, values)
    else:
        path = tmp_path / "other.parquet"
        pq.write_table(pa.table({name: values}), path)
    others = dict.fromkeys(("labels", "ids", "cross_entropy", "logits")) | {name: str(path)}
    with pytest.raises(InputError) as found:
        read_rows(argparse.Namespace(features=str(tmp_path / "f.npy"), **others))
    assert message.format(path=path) in str(found.value)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_numbers_and_labels_of_text_files_are_lines(tmp_path: Path, newline: str) -> None:
    np.save(tmp_path / "f.npy", PLAIN)
    (tmp_path / "l.txt").write_text(newline.join("abab") + newline, newline="")
    (tmp_path / "e.txt").write_text(newline.join(["0.5", "1", "1e-3", "2"]), newline="")
    options = argparse.Namespace(
        features=str(tmp_path / "f.npy"),
        labels=str(tmp_path / "l.txt"),
        ids=None,
        cross_entropy=str(tmp_path / "e.txt"),
        logits=None,
    )
    rows = read_rows(options)
    assert rows.labels == list("abab")
    assert rows.cross_entropy is not None
    assert rows.cross_entropy.tolist() == pytest.approx([0.5, 1, 1e-3, 2])
