"""`otcondense select`: a subset of features in files, without a run directory and without Ray."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from otcondense.unit_rows import unit_rows
from tests.verbs import call, output_of

ROWS, CLASSES = 90, ("a", "b", "ü")
FAST = ["rebuilds=0", "lower_bound=null"]
THREE = ["--method=k_medoids", "--budget=3"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same features as .npy, .npz and Parquet."""
    root = tmp_path_factory.mktemp("features")
    generator = np.random.default_rng(0)
    features = generator.normal(size=(ROWS, 4)).astype(np.float32)
    labels = np.array(CLASSES)[np.arange(ROWS) % len(CLASSES)]
    logits = generator.normal(size=(ROWS, len(CLASSES))).astype(np.float32)
    ids = np.array([f"image {row}" for row in range(ROWS)])
    np.save(root / "f.npy", features)
    np.save(root / "large.npy", np.full((3, 2), 1e200))
    np.save(root / "empty.npy", features[:0])
    np.save(root / "l.npy", labels)
    np.save(root / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (root / "l.txt").write_text("\n".join(labels) + "\n")
    np.savez_compressed(root / "f.npz", features=features, labels=labels, logits=logits, ids=ids)
    table = pa.table({"features": pa.array(list(features)), "kind": labels, "name": ids})
    pq.write_table(table, root / "f.parquet")
    return root


def chosen(folder: Path, tmp_path: Path, *words: str) -> list[Any]:
    """Return the list that a command line writes."""
    output = tmp_path / "subset.json"
    names = [str(folder / word) if (folder / word).exists() else word for word in words]
    fast = [] if any(word.startswith("--method") for word in words) else FAST
    call("select", [*names, f"--output={output}", *fast])
    found: list[Any] = json.loads(output.read_text())
    output.unlink()
    return found


@pytest.fixture(scope="module")
def three_rows(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """Three rows of each class."""
    return chosen(folder, tmp_path_factory.mktemp("three"), "f.npy", "--labels", "l.npy", *THREE)


def test_rows_are_chosen_from_each_class(folder: Path, three_rows: list[int]) -> None:
    labels = np.load(folder / "l.npy")[three_rows]
    assert labels.tolist() == ["a"] * 3 + ["b"] * 3 + ["ü"] * 3
    assert len(set(three_rows)) == 9


@pytest.mark.parametrize(
    "words",
    [
        ("f.npy", "--labels", "l.txt"),
        ("f.parquet", "--labels", "kind"),
        ("f.npy", "--labels", "f.npz"),
        ("f.npy", "--labels", "l.npy", "--duplicates=keep"),
    ],
    ids=["text", "parquet", "npz", "no copies"],
)
def test_all_forms_of_a_file_give_the_same_subset(
    folder: Path, tmp_path: Path, words: tuple[str, ...], three_rows: list[int]
) -> None:
    assert chosen(folder, tmp_path, *words, *THREE) == three_rows


def test_ids_and_logits_are_taken_from_the_file(folder: Path, tmp_path: Path) -> None:
    names = chosen(folder, tmp_path, "f.npz", "--budget=10%")
    assert len(names) == 9
    assert all(name.startswith("image ") for name in names)


def test_a_parquet_file_has_the_columns_of_a_manifest(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "subset.parquet"
    call("select", [str(folder / "f.npz"), "--budget={total: 7}", f"--output={output}", *FAST])
    table = pq.read_table(output)
    assert {"image_id", "class_name", "rank", "weight", "cross_entropy"} <= set(table.column_names)
    assert len(table) == 7
    assert np.isfinite(table.column("cross_entropy").to_numpy()).all(), "logits were used"


def test_rows_without_labels_are_one_class(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "subset.npy"
    said = output_of("select", [str(folder / "f.npy"), f"--output={output}", "--method=random"])
    assert "10 of 90 rows in 1 class" in said
    assert len(set(np.load(output).tolist())) == 10


MISTAKES = {
    ("f.npy", "--budget=0"): "--budget must be at least 1, found 0",
    ("f.npy", "--budget=-1"): "--budget must be at least 1, found -1",
    ("f.npy", "--budget=1.5"): '--budget must be a number of images, a share such as "1%" or 0.01',
    ("f.npy", "--budget=1e3"): "--budget must be a number of images, a share",
    ("f.npy", "--budget=true"): "--budget must be a number of images, a share",
    ("f.npy", "--budget=inf"): "--budget must be a number of images, a share",
    ("f.npy", "--budget={a: 1}"): "--budget must name every class once; missing: ['all']",
    ("f.npy", "--budget={total: 99}"): "--budget.total must be from 1",
    ("f.npy", "--budget=100"): "class all: budget must be at most the number of images",
    ("f.npy", "kapa=1"): "kapa is not a setting of geometry_aware; did you mean kappa?",
    (
        "f.npy",
        "--method=dq",
        "rebuilds=0",
    ): "rebuilds is not a setting of dq; there are small_class",
    ("f.npy", "budget=5"): "budget is an option here; use --budget",
    ("f.npy", "include=[90]"): "include must hold numbers of rows below 90, found 90",
    ("f.npz", "include=[image 900]"): "ids of rows, found image 900; did you mean image 9",
    ("f.npz", "include=[image 9,image 9]"): "include must name each row once, found image 9 twice",
    ("f.npz", "include=image 9", "exclude=[image 9]"): "include must be a list of image ids",
    ("f.npz", "include=[image 9]", "exclude=[image 9]"): "no row in common, found image 9 in both",
    ("f.npy", "kappa=0.1"): "kappa must be",
    ("f.npy", "--method=magic"): "--method must be the name of a method, found magic; there are",
    ("f.npy", "--method=k-center"): "found k-center; did you mean k_center?",
    ("f.npy", "--method=ccs"): "--method ccs needs difficulties, which only a run has",
    ("f.npy", "--cross-entropy", "l.txt"): "cross_entropy must be a number in each row, found 'a'",
    ("f.npy", "--labels=nothing.npy"): "--labels names no file: nothing.npy",
    ("f.npy", "--seed=-1"): "seed must be",
    ("large.npy",): "features in",
    ("empty.npy",): "must be numbers [n, d], found float32 [0, 4]",
    ("l.npy",): "must be numbers [n, d], found <U1 [90]",
    ("objects.npy",): "is not a readable array of plain numbers or text",
    ("l.txt",): "features must be a .npy, .npz, .parquet file",
    ("none.npy",): "found nothing at none.npy",
    ("f.npy", "--ids", "l.npy"): "ids must all be different",
    ("f.npz", "--cross-entropy", "logits"): "cross_entropy must be numbers [n]",
}


@pytest.mark.parametrize(("words", "message"), MISTAKES.items())
def test_a_mistake_is_one_sentence(
    folder: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        chosen(folder, tmp_path, *words)
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_rows_are_included_by_their_ids_if_there_are_some(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("image 3\nimage 4\n")
    words = ("f.npz", "--method=random", "--budget=0.1", f"include={tmp_path / 'ids.txt'}")
    names = chosen(folder, tmp_path, *words, "exclude=[image 0]")
    assert len(names) == 9
    assert {"image 3", "image 4"} <= set(names)
    assert "image 0" not in names


@pytest.mark.parametrize(("method", "named"), [("", "zcore:"), ("k_medoids", "swaps  [true]")])
def test_the_settings_of_methods_are_listed(
    method: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        call("select", ["--help-settings", *filter(None, [method])])
    assert end.value.code in (0, None)
    listed = capsys.readouterr().out
    assert listed.startswith("settings of every method (key=value):\n  small_class  [error]")
    assert named in listed


def test_several_rows_can_be_included(folder: Path, tmp_path: Path) -> None:
    words = ("f.npy", "--labels", "l.npy", *THREE, "include=[9,10,12]", "exclude=[0,1]")
    rows = set(chosen(folder, tmp_path, *words))
    assert rows > {9, 10, 12}
    assert rows.isdisjoint({0, 1})


@pytest.mark.parametrize("output", ["f.npy", "sub.json", "s3://bucket/s.json", "f.npy/s.json"])
def test_nothing_that_exists_is_written_over(
    folder: Path, tmp_path: Path, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sub.json").mkdir()
    np.save(tmp_path / "f.npy", np.load(folder / "f.npy"))
    before = (tmp_path / "f.npy").read_bytes()
    place = output if "://" in output else str(tmp_path / output)
    with pytest.raises(SystemExit):
        call("select", [str(tmp_path / "f.npy"), "--budget=3", f"--output={place}", *FAST])
    assert "--output must" in capsys.readouterr().err
    assert (tmp_path / "f.npy").read_bytes() == before
    assert {each.name for each in tmp_path.iterdir()} == {"f.npy", "sub.json"}


MISSING = {
    "nan": np.where(np.arange(ROWS) == 5, np.nan, 1.0),
    "two axes": np.full((ROWS, 1), "a"),
    "empty text": np.where(np.arange(ROWS) == 5, "", "a"),
}


@pytest.mark.parametrize("labels", MISSING.values(), ids=MISSING)
def test_missing_labels_are_no_class(
    folder: Path, tmp_path: Path, labels: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "l.npy", labels)
    with pytest.raises(SystemExit):
        chosen(folder, tmp_path, "f.npy", "--labels", str(tmp_path / "l.npy"))
    assert "labels must" in capsys.readouterr().err


@pytest.mark.slow
def test_ray_is_not_even_imported(folder: Path, tmp_path: Path) -> None:
    words = [str(folder / "f.npy"), "--budget=2", f"--output={tmp_path / 's.json'}"]
    program = (
        "import sys; from jobs.select.__main__ import main; "
        f"main({words!r}); assert 'ray' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)


def test_the_cosine_cost_takes_rows_at_unit_length(folder: Path, tmp_path: Path) -> None:
    features = np.load(folder / "f.npy")
    np.save(tmp_path / "unit.npy", unit_rows(features))
    words = ["--labels", "l.npy", *THREE]
    expected = chosen(folder, tmp_path, str(tmp_path / "unit.npy"), *words)
    assert chosen(folder, tmp_path, "f.npy", *words, "cost=cosine") == expected
    assert chosen(folder, tmp_path, "f.npy", *words) != expected
