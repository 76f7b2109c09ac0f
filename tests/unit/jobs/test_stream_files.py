"""`otcondense stream`: files that are damaged, repaired and changed."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.stream import command, parts
from jobs.stream.numpy_files import npz_parts
from jobs.stream.parts import Part
from jobs.stream.taken import digest_after
from tests.generators.streams import (
    BAD,
    FIRST,
    LAST,
    ROWS,
    SMALL_PART,
    Rows,
    chosen,
    folder_of,
    ipc,
    points,
    refusal,
    send,
    with_value,
)
from tests.verbs import output_of

KINDS = ("npy", "npz", "parquet")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "it ends too early": (cut, "not a readable"),
    "it is empty": (lambda path: path.write_bytes(b""), "not a readable"),
    "another width": (lambda path: Rows(np.ones((9, 5), np.float32)).write(path), "another enc"),
    "another type": (lambda path: Rows(np.ones((9, 3), np.int64)).write(path), "found int64"),
    "infinite": (lambda path: Rows(with_value(BAD, np.inf)).write(path), f"in row {BAD}"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_in_the_middle_is_refused_and_goes_on_when_it_is_repaired(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    monkeypatch.setattr(parts, "PART_ROWS", SMALL_PART)
    folder = folder_of(tmp_path, kind)
    expected = chosen(tmp_path, folder)
    path = sorted(folder.iterdir())[1]
    state, whole = f"--state={tmp_path / 'state'}", path.read_bytes()
    for damage, sentence in DAMAGE.values():
        path.write_bytes(whole)
        damage(path)
        said = refusal(capsys, tmp_path, folder, state)
        assert sentence in said
        assert str(path) in said
    path.write_bytes(whole)
    assert chosen(tmp_path, folder, state) == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [1, BAD])
def test_a_refused_row_may_be_taken_out(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    bad: int,
) -> None:
    monkeypatch.setattr(parts, "PART_ROWS", SMALL_PART)
    folder, state = folder_of(tmp_path, kind), f"--state={tmp_path / 'state'}"
    path = sorted(folder.iterdir())[1]
    Rows(with_value(bad, np.nan)).write(path)
    assert f"in row {bad}\n" in refusal(capsys, tmp_path, folder, state)
    rows = Rows()
    Rows(np.delete(rows.features, bad, 0), drop(rows.ids, bad), drop(rows.labels, bad)).write(path)
    assert chosen(tmp_path, folder, state) == chosen(tmp_path, folder)


def drop(values: list[Any], row: int) -> list[Any]:
    return values[:row] + values[row + 1 :]


def overwritten(path: Path) -> None:
    Rows(with_value(BAD, 0.5)).write(path)


def shortened(path: Path) -> None:
    rows = Rows()
    Rows(rows.features[:-1], rows.ids[:-1], rows.labels[:-1]).write(path)


def extended(path: Path) -> None:
    rows = Rows()
    features = np.concatenate([rows.features, rows.features[:1] + 1])
    Rows(features, [*rows.ids, "new"], [*rows.labels, "a"]).write(path)


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "another number": (overwritten, "found others in their place"),
    "a row less": (shortened, "found 8 rows in all"),
    "a row more": (extended, "found more rows"),
    "damage": (cut, "found damage ("),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_changed_after_it_was_read_is_noticed_and_nothing_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    folder, state = folder_of(tmp_path, kind), tmp_path / "state"
    path = sorted(folder.iterdir())[1]
    Rows().write(path)
    expected = chosen(tmp_path, folder, f"--state={state}")
    whole, times = path.read_bytes(), path.stat()
    stored = (state / "stream.parquet").read_bytes()
    for change, sentence in CHANGES.values():
        change(path)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        said = refusal(capsys, tmp_path, folder, f"--state={state}")
        assert sentence in said
        assert str(path) in said
        assert (state / "stream.parquet").read_bytes() == stored
        path.write_bytes(whole)
    assert chosen(tmp_path, folder, f"--state={state}") == expected


def test_only_a_file_with_another_stamp_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, state = folder_of(tmp_path, "npz"), tmp_path / "state"
    expected = chosen(tmp_path, folder, f"--state={state}")
    read: list[str] = []

    def noted(path: str, start: int, columns: parts.Columns) -> Iterator[Part]:
        read.append(Path(path).name)
        return npz_parts(path, start, columns)

    monkeypatch.setitem(command.READERS, ".npz", noted)
    os.utime(sorted(folder.iterdir())[1])
    counts = []
    for _ in range(3):
        assert chosen(tmp_path, folder, f"--state={state}") == expected
        counts.append(len(read))
        if len(counts) == 2:
            (state / "files.json").write_text("damaged")
    assert counts == [1, 1, 5]


def test_the_state_depends_on_the_rows_and_not_on_their_files(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "parquet")
    chosen(tmp_path, folder, f"--state={tmp_path / 'one'}")
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, copy_function=shutil.copy)
    Rows().write(sorted(copy.iterdir())[1])  # in other row groups
    chosen(tmp_path, copy, f"--state={tmp_path / 'two'}")
    states = [(tmp_path / name / "stream.parquet").read_bytes() for name in ("one", "two")]
    assert states[0] == states[1]


def test_a_stream_that_is_sent_again_must_have_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = f"--state={tmp_path / 'state'}"
    send(monkeypatch, ipc(Rows().table()))
    expected = chosen(tmp_path, "-", state)
    send(monkeypatch, ipc(Rows(with_value(BAD, 0.5)).table()))
    assert "found others in their place" in refusal(capsys, tmp_path, "-", state)
    send(monkeypatch, ipc(Rows().table()))
    assert chosen(tmp_path, "-", state) == expected


def test_a_file_without_rows_is_said_and_may_be_filled(tmp_path: Path) -> None:
    state = f"--state={tmp_path / 'state'}"
    path = folder_of(tmp_path, "npy") / "part-09.npy"
    np.save(path, points(ROWS)[:0])
    words = [str(path.parent), f"--output={tmp_path / 's.json'}", "--budget=2", state]
    assert f"{path} has no rows" in output_of("stream", words)
    np.save(path, points(ROWS)[FIRST:LAST])
    assert "of 36 rows" in output_of("stream", words)


@pytest.mark.parametrize("size", [1, 4, 9])
def test_the_hash_of_rows_does_not_depend_on_the_parts(size: int) -> None:
    rows = Rows()
    whole = Part(0, rows.features, rows.ids, rows.labels)
    digest = ""
    for start in range(0, len(whole), size):
        digest = digest_after(digest, whole.cut(slice(start, start + size)))
    assert digest == digest_after("", whole)
    assert digest == digest_after("", Part(0, rows.features.astype(">f4"), rows.ids, rows.labels))
    assert digest != digest_after("", Part(0, rows.features, rows.labels, rows.ids))
