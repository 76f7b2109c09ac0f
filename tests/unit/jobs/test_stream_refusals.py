"""`otcondense stream`: what is refused, in one sentence, and that nothing is lost by it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.stream import parts
from tests.generators.streams import (
    BAD,
    IDS,
    LABELS,
    SMALL_PART,
    Rows,
    chosen,
    folder_of,
    ipc,
    refusal,
    send,
    table,
    with_value,
    write_parquet,
)
from tests.verbs import call

LISTS = pa.list_(pa.float32())


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The subset of the stream with labels."""
    root = tmp_path_factory.mktemp("expected")
    pq.write_table(table(), root / "all.parquet")
    return chosen(root, root / "all.parquet")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def replaced(name: str, values: Any) -> Callable[[Path], None]:
    """Return what writes a file with another column."""

    def act(path: Path) -> None:
        held = table(27, 36)
        pq.write_table(held.set_column(held.schema.get_field_index(name), name, values), path)

    return act


def without(name: str) -> Callable[[Path], None]:
    """Return what writes a file without a column."""
    return lambda path: pq.write_table(table(27, 36).drop_columns([name]), path)


def features(rows: list[Any], kind: pa.DataType = LISTS) -> Callable[[Path], None]:
    """Return what writes a file with other features."""
    return replaced("features", pa.array(rows, kind))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file that ends too early": (cut, "not a readable Parquet file"),
    "an empty file": (lambda path: path.write_bytes(b""), "not a readable Parquet file"),
    "another width": (features([[1.0] * 4] * 9), "another encoder"),
    "another type": (features([[1.0] * 3] * 9, pa.list_(pa.float64())), "must hold float32"),
    "lengths that differ": (features([[1.0]] * 8 + [[1.0, 2.0]]), "one length"),
    "a number that is missing": (features([[np.nan] * 3] * 9), "finite"),
    "a row without features": (features([None] * 9), "gaps"),
    "features that are texts": (features(["a"] * 9, pa.string()), "lists of numbers"),
    "an id twice": (replaced("ids", pa.array(["x"] * 9)), "different"),
    "an id that is missing": (replaced("ids", pa.array([None] * 9, pa.string())), "each row"),
    "no labels": (without("labels"), "labels must be given"),
    "no features": (without("features"), "column features"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_refused_file_is_one_sentence_and_loses_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], expected: list[str], name: str
) -> None:
    damage, sentence = DAMAGE[name]
    folder = folder_of(tmp_path, "parquet")
    last = sorted(folder.iterdir())[-1]
    damage(last)
    state = f"--state={tmp_path / 'state'}"
    with pytest.raises(SystemExit):
        chosen(tmp_path, folder, state)
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("error:") == 1
    assert "Traceback" not in said
    assert str(last) in said
    last.unlink()
    write_parquet(last, 27, 36)
    assert chosen(tmp_path, folder, state) == expected


@pytest.mark.parametrize("left", [0, 10, -20])
def test_a_stream_of_arrow_that_ends_early_is_refused_and_can_be_sent_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    expected: list[str],
    left: int,
) -> None:
    state = f"--state={tmp_path / 'state'}"
    send(monkeypatch, ipc()[:left])
    with pytest.raises(SystemExit):
        chosen(tmp_path, "-", state)
    assert "Arrow record batches" in capsys.readouterr().err
    send(monkeypatch, ipc())
    assert chosen(tmp_path, "-", state) == expected


def grown(folder: Path) -> None:
    write_parquet(sorted(folder.iterdir())[0], 0, 18)


CHANGED: dict[str, tuple[Callable[[Path], object], list[str], str]] = {
    "a file that was read and changed": (grown, [], "stay as it was read"),
    "other settings": (lambda _: None, ["--budget=3"], "budget=2, found 3"),
    "another seed": (lambda _: None, ["--seed=1"], "seed=0, found 1"),
    "another objective": (lambda _: None, ["alpha=2"], "alpha=1.0, found 2.0"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_stored_stream_goes_on_only_with_the_same_files_and_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    change, words, sentence = CHANGED[name]
    folder = folder_of(tmp_path, "parquet")
    state = f"--state={tmp_path / 'state'}"
    chosen(tmp_path, folder, state)
    change(folder)
    with pytest.raises(SystemExit):
        chosen(tmp_path, folder, state, *words)
    assert sentence in capsys.readouterr().err


def test_a_damaged_state_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folder_of(tmp_path, "npz")
    chosen(tmp_path, folder, f"--state={tmp_path / 'state'}")
    cut(tmp_path / "state" / "stream.parquet")
    with pytest.raises(SystemExit):
        chosen(tmp_path, folder, f"--state={tmp_path / 'state'}")
    assert "stream.parquet" in capsys.readouterr().err


WRONG: dict[str, tuple[list[str], str]] = {
    "no source": (["missing", "--output=s.json"], "found nothing at missing"),
    "an empty folder": (["empty", "--output=s.json"], "found none at empty"),
    "another suffix": (["file.csv", "--output=s.json"], "must end in .npy"),
    "another output": (["npz", "--output=s.txt"], "--output must end in"),
    "a budget above the reservoir": (
        ["npz", "--output=s.json", "--budget=50", "reservoir=12"],
        "reservoir must be larger",
    ),
    "labels in a file of their own": (
        ["npy", "--output=s.json", "--labels=y.npy"],
        "put labels into the same file as the features, as with numpy.savez(",
    ),
    "no row at all": (["none.npy", "--output=s.json"], "SOURCE must hold rows of features"),
    "more than has come": (["npz", "--output=s.json", "--budget=30"], "class a: budget"),
    "an unknown setting": (["npz", "--output=s.json", "resevoir=3"], "reservoir"),
    "an option as a setting": (["npz", "--output=s.json", "budget=3"], "use --budget"),
    "an unknown column": (["npz", "--output=s.json", "--labels=label"], "did you mean labels"),
    "nothing to follow": (["-", "--output=s.json", "--follow"], "--follow needs a folder"),
    "idle alone": (["npz", "--output=s.json", "--idle=1"], "together with --follow"),
    "a file as state": (["npz", "--output=s.json", "--state=file.csv"], "--state must be a folder"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_answered_with_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    words, sentence = WRONG[name]
    monkeypatch.chdir(tmp_path)
    folder_of(tmp_path, "npz")
    folder_of(tmp_path, "npy")
    np.save("none.npy", np.empty((0, 3), np.float32))
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.csv").write_text("")
    with pytest.raises(SystemExit) as ended:
        call("stream", words)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert sentence in said
    assert "Traceback" not in said


def with_row(values: list[Any], value: Any) -> list[Any]:
    return [*values[:BAD], value, *values[BAD + 1 :]]


COLUMNS = ("parquet", "arrow")
NAMED = ("npz", *COLUMNS)
ALL = ("npy", *NAMED)
"""Kinds of sources in which a fault can be."""
FAULTS: dict[str, tuple[Callable[[], Rows], tuple[str, ...], list[str]]] = {
    "a number that is missing": (lambda: Rows(with_value(BAD, np.nan)), ALL, []),
    "too large": (lambda: Rows(np.where(np.arange(9)[:, None] == BAD, 1e300, 1.0)), ALL, []),
    "no direction": (
        lambda: Rows(np.where(np.arange(9)[:, None] == BAD, 0.0, 1.0)),
        ALL,
        ["cost=cosine"],
    ),
    "an empty id": (lambda: Rows(ids=with_row(IDS[:9], "")), NAMED, []),
    "an empty label": (lambda: Rows(labels=with_row(LABELS[:9], "")), NAMED, []),
    "an id twice in a part": (lambda: Rows(ids=with_row(IDS[:9], IDS[5])), NAMED, []),
    "an id twice in the stream": (lambda: Rows(ids=with_row(IDS[:9], IDS[0])), NAMED, []),
    "no id": (lambda: Rows(ids=with_row(IDS[:9], None)), COLUMNS, []),
    "no features": (lambda: Rows(with_row([[1.0, 2.0]] * 9, None)), COLUMNS, []),
    "a gap": (lambda: Rows(with_row([[1.0, 2.0]] * 9, [None, 1.0])), COLUMNS, []),
    "another length": (lambda: Rows(with_row([[1.0, 2.0]] * 9, [1.0])), COLUMNS, []),
    "no numbers": (lambda: Rows(with_row([[1.0, 2.0]] * 9, [])), COLUMNS, []),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_refused_row_is_counted_from_the_start_of_its_file(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    make, kinds, words = FAULTS[fault]
    monkeypatch.setattr(parts, "PART_ROWS", SMALL_PART)
    for kind in kinds:
        path = tmp_path / f"file.{kind}"
        if kind == "arrow":
            send(monkeypatch, ipc(make().table()))
        else:
            make().write(path)
        said = refusal(capsys, tmp_path, "-" if kind == "arrow" else path, *words)
        assert f"row {BAD}" in said or f"and {BAD}" in said
        assert (str(path) if kind != "arrow" else "the standard input") in said
