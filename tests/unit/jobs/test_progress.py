"""The bar's file, and `otcondense status` that reads it."""

import errno
import json
import math
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.command.progress import FAILURES_TOLD, Progress
from jobs.command.wording import stage_state
from jobs.run_directory.bars import GROUP_SELECTION_BAR, POLISH_BAR, Bar
from jobs.run_directory.last_command import LastCommand, write_last_command
from jobs.status.__main__ import main
from jobs.status.command import MOST_LINES, print_status
from otcondense.counts import counted
from otcondense.durations import duration
from otcondense.store import (
    StageProgress,
    Store,
    UnitProgress,
    progress_file,
    read_all_progress,
    units_file,
    write_progress,
)
from tests.runs import start_run

NAMES = ("a", "b", "c")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    config = tmp_path / "c.yaml"
    config.write_text("source: {path: images}\n")
    return start_run(config, tmp_path / "run").store


def followed(store: Store, ends: dict[str, dict]) -> StageProgress:
    """Follow three units, one of them already finished, and return the progress on the disk."""
    with Progress(store, "select_subset", "select", "class") as progress:
        progress.follow(
            [
                UnitProgress(name=name, state="skipped" if name == "a" else "queued")
                for name in NAMES
            ]
        )
        for name, changes in ends.items():
            progress.change(name, {"state": "running", "attempts": 1})
            progress.change(name, changes)
    (stage,) = read_all_progress(store)
    return stage


def test_units_are_followed_to_their_end(store: Store) -> None:
    stage = followed(
        store,
        {
            "b": {"state": "done", "seconds": 2.0},
            "c": {"state": "failed", "message": "no <b>memory</b>"},
        },
    )
    assert [unit.state for unit in stage.units] == ["skipped", "done", "failed"]
    assert (stage.before, stage.done, stage.total, stage.finished) == (1, 3, 3, True)
    assert stage.units[1].seconds == 2.0
    assert stage_state(stage, time.time()) == "finished, 1 failed"
    earlier = stage.model_copy(update={"before": stage.total, "units": ()})
    assert stage_state(earlier, time.time()) == "finished earlier"


def test_images_that_cannot_be_read_are_counted_apart(store: Store) -> None:
    with Progress(store, "extract_features-a", "extract a", "image") as progress:
        progress.show(0, 634)
        progress.show(634, 634)
        progress.lose(3)
    (stage,) = read_all_progress(store)
    assert stage_state(stage, time.time()) == "finished, 3 of them cannot be read"


def test_a_failure_is_printed_at_once(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(store, "select_subset", "select", "class") as progress:
        progress.follow([UnitProgress(name=name) for name in NAMES])
        progress.change("b", {"state": "failed", "message": "no memory"})
        assert "b: no memory" in capsys.readouterr().out


def test_an_interrupted_stage_is_not_finished(store: Store) -> None:
    def train() -> None:
        with Progress(store, "train-sit-random", "train", "step") as progress:
            progress.show(3, 10, loss=0.5)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    (stage,) = read_all_progress(store)
    assert (stage.done, stage.total, stage.finished, stage.figures) == (3, 10, False, {"loss": 0.5})


@pytest.mark.parametrize("content", [None, b"{", b"[]", b'{"stage": 1}', b"\xff"])
def test_finished_work_is_noted_again_if_its_file_is_lost(
    store: Store, content: bytes | None
) -> None:
    if content is not None:
        store.write_bytes(progress_file("sample"), content)
    with Progress(store, "sample", "sample", "batch") as progress:
        progress.show(5, 5)
    (stage,) = read_all_progress(store)
    assert (stage.done, stage.total, stage.before, stage.finished) == (5, 5, 5, True)


def test_the_file_of_finished_work_is_kept(store: Store) -> None:
    with Progress(store, "sample", "sample", "batch") as progress:
        progress.show(0, 5)
        progress.show(5, 5)
    (stage,) = read_all_progress(store)
    with Progress(store, "sample", "sample", "batch") as progress:
        progress.show(5, 5)
    assert read_all_progress(store) == [stage]


def test_progress_that_cannot_be_written_does_not_stop_the_work(
    store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Store, "write_bytes", refuse)
    with Progress(store, "sample", "sample", "batch") as progress:
        progress.show(0, 5)
        progress.show(5, 5)
    assert "progress of sample is not written" in caplog.text


def test_the_time_left_ignores_work_that_was_already_finished() -> None:
    stage = StageProgress(
        stage="s",
        title="s",
        unit="class",
        before=90,
        done=95,
        total=100,
        started=1000.0,
        updated=1020.0,
    )
    assert stage.eta_seconds == 20.0
    assert stage.model_copy(update={"done": 90}).eta_seconds is None
    assert stage.model_copy(update={"done": 100}).eta_seconds is None


def test_status_names_stages_and_failures(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    followed(store, {"b": {"state": "failed", "message": "features are missing"}})
    with pytest.raises(SystemExit) as ended:
        main([store.root])
    printed = capsys.readouterr().out
    assert ended.value.code == 1
    assert "2/3 class" in printed
    assert "failed: b: features are missing" in printed


@pytest.mark.parametrize("total", [1, 1_400, 1_400_000_000])
def test_no_two_columns_of_status_run_together(
    total: int, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = [
        Bar("a", "encode for the judge (tf_efficientnet_lite2.in1k)", "image"),
        POLISH_BAR,
        GROUP_SELECTION_BAR,
    ]
    stages = [StageProgress(stage=key, title=title, unit=unit) for key, title, unit in bars]
    counts = {"total": total, "done": total, "started": 0.0, "updated": 9e9, "finished": True}
    print_status([each.model_copy(update=counts) for each in stages], now=9e9)
    head, *lines = capsys.readouterr().out.splitlines()
    for line, bar in zip(lines, bars, strict=True):
        count = f"{total:,}/{counted(total, bar.unit)}"
        assert re.fullmatch(rf"{re.escape(bar.title)} +{count} +\S.*  finished", line)
        assert line.index("  finished") == head.index("  state")


def test_status_names_the_unit_at_work(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    unit = {
        "name": "random, class a",
        "state": "running",
        "started": time.time() - 5,
        "step": "swaps",
        "swaps": 3,
        "objective": 1.5,
    }
    now = time.time()
    write_progress(
        store,
        StageProgress(
            stage="s",
            title="select",
            unit="class",
            total=1,
            started=now,
            updated=now,
            units=(unit,),
        ),
    )
    main([store.root])
    printed = capsys.readouterr().out
    assert "running: random, class a: swaps, 3 swaps, objective 1.5, 5.0 s" in printed


def test_work_that_was_already_finished_is_listed_without_a_bar(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress(store, "select_subset", "select", "class") as progress:
        progress.follow([UnitProgress(name="a", state="skipped")])
    (stage,) = read_all_progress(store)
    assert (stage.done, stage.total, stage.before, stage.finished) == (1, 1, 1, True)
    assert capsys.readouterr().err == ""


def test_late_news_of_a_finished_unit_is_ignored(store: Store) -> None:
    with Progress(store, "select_subset", "select", "class") as progress:
        progress.follow([UnitProgress(name="a")])
        progress.change("a", {"state": "running"})
        progress.update("a", {"step": "swaps", "objective": 3.0})
        progress.change("a", {"state": "done", "step": "", "objective": 1.0})
        progress.update("a", {"step": "rebuilds", "objective": 2.0})
    (stage,) = read_all_progress(store)
    assert (stage.units[0].step, stage.units[0].objective) == ("", 1.0)


@pytest.mark.parametrize(
    ("command", "state", "line"),
    [
        (
            {"state": "interrupted", "ended": 50.0},
            "interrupted",
            "interrupted on {at} in train m; ",
        ),
        ({"state": "failed", "ended": 50.0, "sentence": "why"}, "failed", " in train m: why"),
        ({"state": "finished", "ended": 50.0}, "not finished", "`otcondense run` finished on {at}"),
        ({"started": 30.0}, "not finished", "started on {at}: no news for"),
        ({}, "no news for", "started on {at}: no news for"),
        ({"state": "failed", "ended": 15.0}, "no news for", None),
    ],
)
def test_status_says_how_the_last_command_ended(
    store: Store, capsys: pytest.CaptureFixture[str], command: dict, state: str, line: str | None
) -> None:
    times = {"started": 10.0, "updated": 20.0}
    stage = StageProgress(stage="t", title="train m", unit="step", done=5, total=10, **times)
    write_progress(store, stage)
    write_last_command(store, LastCommand(**{"verb": "run", "started": 9.0, **command}))
    main([store.root])
    printed = capsys.readouterr().out.splitlines()
    assert f"  {state}" in printed[1]
    assert printed[1].count(" 10 s") == (2 if state == "no news for" else 1)  # time, and left
    if line is None:
        assert len(printed) == 2
    else:
        at = time.strftime("%d %b %Y, %H:%M", time.localtime(command.get("ended", 30.0)))
        assert line.format(at=at) in printed[2]


def test_status_as_json(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    write_progress(
        store,
        StageProgress(
            stage="train-m",
            title="train m",
            unit="step",
            done=5,
            total=10,
            started=10.0,
            updated=20.0,
        ),
    )
    main([store.root, "--json"])
    (stage,) = json.loads(capsys.readouterr().out)["stages"]
    assert (stage["eta_seconds"], stage["done"]) == (10.0, 5)
    assert stage["state"].startswith("no news for")


def test_a_damaged_file_hides_no_other_stage(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    followed(store, {})
    store.write_bytes(progress_file("sample"), b"{")
    main([store.root])
    assert "1/3 class" in capsys.readouterr().out


def test_a_missing_run_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / "nowhere")])
    assert ended.value.code == 2
    assert "nowhere must be a run directory, but it does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.84, "0.8 s"),
        (5.4, "5.4 s"),
        (9.96, "10 s"),
        (59.6, "1 min 0 s"),
        (200.0, "3 min 20 s"),
        (7500.0, "2 h 5 min"),
        (273600.0, "3 d 4 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_status_imports_no_heavy_library(store: Store) -> None:
    followed(store, {})
    code = (
        "import sys\n"
        "from jobs.status.__main__ import main\n"
        "main(sys.argv[1:])\n"
        "print(sorted({'numpy', 'pyarrow', 'ray', 'torch'} & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", code, store.root]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "1/3 class" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("most", [2, 3])
def test_a_stage_of_many_units_reads_the_same_from_two_files(
    store: Store, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.command.progress.UNITS_IN_ONE_FILE", most)
    ends = {"b": {"state": "done", "seconds": 2.0}, "c": {"state": "failed", "message": "bad"}}
    stage = followed(store, ends)
    assert store.exists(units_file("select_subset")) == (most < len(NAMES))
    assert [unit.name for unit in stage.units] == list(NAMES)
    assert [unit.state for unit in stage.units] == ["skipped", "done", "failed"]
    assert (stage.before, stage.done, stage.total, stage.finished) == (1, 3, 3, True)


def test_the_small_file_has_news_that_the_file_of_all_units_lacks(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.command.progress.UNITS_IN_ONE_FILE", 2)
    monkeypatch.setattr("jobs.command.progress.SECONDS_BETWEEN_WRITES", 0.0)
    monkeypatch.setattr("jobs.command.progress.WORK_PER_WRITE", 0.0)
    name = units_file("select_subset")
    with Progress(store, "select_subset", "select", "class") as progress:
        progress.follow([UnitProgress(name=each) for each in NAMES])
        monkeypatch.setattr("jobs.command.progress.WORK_PER_WRITE", 1e9)
        progress._next_units = math.inf
        progress.change("b", {"state": "done"})
        written = store.state(name)
        (stage,) = read_all_progress(store)
        assert [unit.state for unit in stage.units] == ["queued", "done", "queued"]
        assert StageProgress.model_validate_json(
            store.read_bytes(progress_file("select_subset"))
        ).units == (UnitProgress(name="b", state="done"),)
        assert store.state(name) == written


@pytest.mark.parametrize("content", [None, b"{", b"[{}]", b"\xff", b"[1]"])
def test_a_lost_file_of_units_leaves_the_counts(
    store: Store, content: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.command.progress.UNITS_IN_ONE_FILE", 2)
    followed(store, {"b": {"state": "done"}, "c": {"state": "done"}})
    store.remove(units_file("select_subset"))
    if content is not None:
        store.write_bytes(units_file("select_subset"), content)
    (stage,) = read_all_progress(store)
    assert (stage.done, stage.total, stage.units) == (3, 3, ())


def test_many_failures_are_printed_in_part(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"u{number}" for number in range(3 * MOST_LINES)]
    with Progress(store, "select_subset", "select", "class") as progress:
        progress.follow([UnitProgress(name=name) for name in names])
        for name in names:
            progress.change(name, {"state": "failed", "message": "no memory"})
    assert capsys.readouterr().out.count("no memory") == FAILURES_TOLD
    print_status(read_all_progress(store), time.time())
    printed = capsys.readouterr().out
    assert printed.count("no memory") == MOST_LINES
    assert f"failed: {2 * MOST_LINES} more; --json lists them all" in printed
