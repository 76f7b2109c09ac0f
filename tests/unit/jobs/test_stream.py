"""`otcondense stream`: kinds of sources, and restarts at any moment."""

import os
import shutil
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.stream.output import report
from otcondense.selection.gap import gap
from otcondense.shares import gap_text
from otcondense.store import Store
from otcondense.streaming import StreamChoice, StreamSelector
from tests.generators.streams import (
    FAST,
    IDS,
    LABELS,
    ROWS,
    Rows,
    chosen,
    folder_of,
    ipc,
    points,
    send,
    table,
)
from tests.verbs import output_of


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The subset of the stream with labels."""
    root = tmp_path_factory.mktemp("expected")
    pq.write_table(table(), root / "all.parquet")
    return chosen(root, root / "all.parquet")


def test_a_subset_of_each_class_is_kept(expected: list[str]) -> None:
    labels = [LABELS[IDS.index(each)] for each in expected]
    assert labels == ["a", "a", "b", "b"]


@pytest.mark.parametrize("kind", ["npz", "parquet"])
@pytest.mark.parametrize("form", ["folder", "pattern", "stdin"])
def test_every_kind_of_source_gives_the_same_subset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: list[str], kind: str, form: str
) -> None:
    folder = folder_of(tmp_path, kind)
    if form == "stdin":
        send(monkeypatch, ipc())
        source: object = "-"
    else:
        source = folder if form == "folder" else folder / "*"
    assert chosen(tmp_path, source) == expected


def test_npy_files_give_places(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "npy")
    np.save(tmp_path / "all.npy", np.asfortranarray(points(ROWS)))
    found = chosen(tmp_path, folder)
    assert found == chosen(tmp_path, tmp_path / "all.npy")
    assert len(set(found)) == 2
    assert all(0 <= each < ROWS for each in found)


@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
def test_the_subset_is_written_in_every_format(
    tmp_path: Path, expected: list[str], suffix: str
) -> None:
    output = tmp_path / f"subset{suffix}"
    folder = folder_of(tmp_path, "parquet")
    printed = output_of("stream", [str(folder), f"--output={output}", *FAST])
    assert "4 of 36 rows in 2 classes" in printed
    assert "a reservoir of more than 10 times the budget" in printed
    if suffix == ".npy":
        assert [IDS[each] for each in np.load(output)] == expected
    else:
        found = pq.read_table(output)
        assert found.column("image_id").to_pylist() == expected
        assert found.column("class_name").to_pylist() == ["a", "a", "b", "b"]
        assert sum(found.column("weight").to_pylist()) <= 4


class KilledError(BaseException):
    """Stands for the end of a process."""


class Killer:
    """Ends a command when it writes its state."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, is_late: bool) -> None:
        self.monkeypatch = monkeypatch
        self.is_late = is_late
        self.write = Store.write_bytes

    def arm(self, after: int) -> None:
        """Let some writes pass, and kill at the next."""
        left = [after]

        def write(store: Store, name: str, data: bytes) -> None:
            is_last = name == "stream.parquet" and not left[0]
            if not is_last or self.is_late:
                self.write(store, name, data)
            if is_last:
                raise KilledError
            left[0] -= name == "stream.parquet"

        self.monkeypatch.setattr(Store, "write_bytes", write)

    def disarm(self) -> None:
        """Let all writes pass."""
        self.monkeypatch.setattr(Store, "write_bytes", self.write)


@pytest.mark.parametrize("kind", ["npz", "parquet", "stdin"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_command_that_is_killed_at_any_write_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, moment: str
) -> None:
    source = "-" if kind == "stdin" else str(folder_of(tmp_path, kind))
    killer = Killer(monkeypatch, is_late=moment == "after")

    def run(name: str) -> bytes:
        send(monkeypatch, ipc())
        chosen(tmp_path, source, f"--state={tmp_path / name}")
        return (tmp_path / "subset.json").read_bytes()

    whole = run("whole")
    kills = 0
    for attempt in range(20):
        # Killed before its first write, a command would never get on: it may write some first.
        killer.arm(after=0 if moment == "after" else attempt % 3)
        try:
            run("killed")
            break
        except KilledError:
            kills += 1
    killer.disarm()
    assert kills >= 3
    assert run("killed") == whole
    states = [(tmp_path / name / "stream.parquet").read_bytes() for name in ("killed", "whole")]
    assert states[0] == states[1]


def test_new_files_are_added_to_a_stored_stream(tmp_path: Path, expected: list[str]) -> None:
    folder = folder_of(tmp_path, "parquet")
    later = sorted(folder.iterdir())[2:]
    for path in later:
        shutil.move(path, tmp_path / path.name)
    state = f"--state={tmp_path / 'state'}"
    chosen(tmp_path, folder, state)
    for path in later:
        shutil.move(tmp_path / path.name, path)
    for path in sorted(folder.iterdir())[:2]:
        path.unlink()  # files that were read may go
    assert chosen(tmp_path, folder, state) == expected


def test_a_followed_folder_ends_after_the_idle_time(tmp_path: Path, expected: list[str]) -> None:
    folder = folder_of(tmp_path, "parquet")
    last = sorted(folder.iterdir())[-1]
    hidden = folder / f".{last.name}"
    last.rename(hidden)

    def appear() -> None:
        time.sleep(0.5)
        hidden.rename(last)

    thread = threading.Thread(target=appear)
    thread.start()
    found = chosen(tmp_path, folder, "--follow", "--idle=1.5")
    thread.join()
    assert found == expected


def test_the_first_ctrl_c_ends_a_followed_folder_with_a_subset(
    tmp_path: Path, expected: list[str]
) -> None:
    folder = folder_of(tmp_path, "parquet")
    press = threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT))
    before = signal.getsignal(signal.SIGINT)
    press.start()
    found = chosen(tmp_path, folder, "--follow", f"--state={tmp_path / 'state'}")
    press.join()
    assert signal.getsignal(signal.SIGINT) == before
    # Pressed while files are read, it leaves the rest for the next command.
    assert (
        found == expected or chosen(tmp_path, folder, f"--state={tmp_path / 'state'}") == expected
    )


def test_threads_do_not_matter(tmp_path: Path, expected: list[str]) -> None:
    assert chosen(tmp_path, folder_of(tmp_path, "npz"), "threads=2") == expected


def test_what_the_state_does_not_depend_on_may_change(tmp_path: Path) -> None:
    path, state = tmp_path / "few.npz", f"--state={tmp_path / 'state'}"
    Rows().write(path)
    words = [str(path), f"--output={tmp_path / 's.json'}", *FAST, "--budget=5", state]
    with pytest.raises(SystemExit):
        output_of("stream", words)  # class b has fewer rows
    later = output_of("stream", [*words, "small_class=take_all", "confidence=0.9"])
    assert "going on after 9 rows" in later
    assert "(90 %)" in later


def shown(
    capsys: pytest.CaptureFixture[str], objective: float, lower: float, upper: float
) -> tuple[StreamChoice, str]:
    """Return a choice with such figures, and what is printed about it."""
    selector = StreamSelector(2, reservoir=12, check_rows=10, lower_bound=None)
    found = selector.partial_fit(points(ROWS)).choices_["all"]
    choice = replace(found, objective=objective, lower_bound=lower, upper_bound=upper)
    selector.__dict__["choices_"] = {"all": choice}
    report("subset.json", selector)
    return choice, capsys.readouterr().out


@pytest.mark.parametrize("lower", [0.0, 6.0, 8.0, float("nan")])
def test_the_gap_is_defined_as_in_every_selection(
    capsys: pytest.CaptureFixture[str], lower: float
) -> None:
    choice, printed = shown(capsys, 8.0, lower, 9.0)
    is_known = lower == lower
    assert choice.gap == gap(8.0, lower) or not is_known
    assert (f"gap {gap_text(1 - lower / 8)} to" if is_known else "8 on the sample, at") in printed


@pytest.mark.parametrize("upper", [7.0, 9.0, float("nan")])
def test_a_bound_below_the_objective_is_explained(
    capsys: pytest.CaptureFixture[str], upper: float
) -> None:
    _, printed = shown(capsys, 8.0, 6.0, upper)
    assert ("a bound on all rows can be below" in printed) == (upper == 7)
