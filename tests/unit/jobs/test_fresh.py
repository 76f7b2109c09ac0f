"""`--fresh` deletes the results of its stage and of those that use them, and nothing else."""

import argparse
import errno
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from jobs.command.cli import run_on_directory, run_parser
from jobs.command.verbs import VERBS
from jobs.run_directory.fresh import confirm, deletion_of
from jobs.run_directory.last_command import COMMAND_FILE
from jobs.run_directory.run import Run
from jobs.run_directory.stages import STAGES, TRAINING_INPUTS
from otcondense.errors import InputError
from tests.generators.images import write_images
from tests.runs import example_of, start_run

FRESH = [name for name, verb in VERBS.items() if verb.can_be_fresh]
NOT_FRESH = [name for name, verb in VERBS.items() if verb.takes_config and not verb.can_be_fresh]
FOREIGN = (
    "thesis.tex",
    "features/notes.txt",
    "features/x-0a1b2c3d/notes.json",
    "selection/notes/x.parquet",
    "training/x-0a1b2c3d/checkpoints/step-000010/notes.txt",
    "training/x-0a1b2c3d/mine.parquet",
    "subset-mine.parquet",
    "sweeps/s-0a1b2c3d/results.csv",
    "src/main.py",
    # Copies that a person made, with names like ours.
    "features/mine/x-0a1b2c3d/class_name=x/part-0.parquet",
    "training/archive/x-0a1b2c3d/metrics.jsonl",
    "training/x-0a1b2c3d/checkpoints/step-000010-best/state.json",
    "subset-final-version.parquet",
)
FROM_TRAINING = ["train", "sample", "evaluate", "report"]
FROM_SELECTION = ["select_subset", *FROM_TRAINING]
DELETED = {
    "run": [stage.name for stage in STAGES],
    "extract_features": ["extract_features", *FROM_SELECTION],
    "select_subset": FROM_SELECTION,
    "train": FROM_TRAINING,
    "sample": FROM_TRAINING[1:],
    "evaluate": FROM_TRAINING[2:],
    # No part of this run: it selects from classes, without scores, and trains on pixels.
    **{name: [name] for name in ("score", "group", *TRAINING_INPUTS)},
}
"""The stages whose results each verb deletes."""
KEPT = {*FOREIGN, "run.json", "config.yaml", ".lock", "logs/stages.jsonl"}


def progress_of(stage: str) -> str:
    keys = {"extract_features": "extract_features-x", "train": "train-m-x"}
    return f"logs/progress/{keys.get(stage, stage)}.json"


def results_of(stages: list[str]) -> set[str]:
    """Return the name of a file for every pattern of some stages."""
    names = set()
    for stage in STAGES:
        if stage.name in stages:
            names |= {example_of(pattern) for pattern in stage.outputs}
            if stage.bar_keys:
                names.add(progress_of(stage.name))
    return names


EVERY = results_of([stage.name for stage in STAGES])


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run with a file of every kind, and files of somebody else."""
    write_images(tmp_path / "images")
    training = {"subsets": ["random"], "num_steps": 2, "checkpoint_steps": [1]}
    values = {
        "source": {"path": str(tmp_path / "images")},
        "selection": {"budget": 2, "methods": ["random"]},
        "models": {"m": {"training": training, "sampling": {}}},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({"run": str(tmp_path / "run"), **values}))
    run = start_run(tmp_path / "c.yaml")
    for name in (*EVERY, *FOREIGN, ".lock", "logs/stages.jsonl"):
        run.store.write_bytes(name, b"x")
    return run


def call(run: Run, verb: str, *arguments: str) -> list[str]:
    """Run a verb whose work is to note that it ran."""
    worked: list[str] = []

    def command(_: Run, __: argparse.Namespace) -> None:
        worked.append(verb)

    run_on_directory(run_parser(verb), command, [run.store.root, *arguments])
    return worked


def left(run: Run) -> set[str]:
    return set(run.store.list()) - {COMMAND_FILE}


@pytest.mark.parametrize("verb", FRESH)
def test_only_results_of_the_stage_and_of_those_that_use_them_are_deleted(
    run: Run, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = results_of(DELETED[verb])
    assert call(run, verb, "--fresh", "--yes") == [verb]
    assert left(run) == (EVERY - gone) | KEPT
    printed = capsys.readouterr().out
    assert f"deleting {len(gone)} files (" in printed
    assert ", ".join(DELETED[verb]) in printed


@pytest.mark.parametrize("verb", FRESH)
def test_nothing_is_deleted_unasked(
    run: Run, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = left(run)
    with pytest.raises(SystemExit) as end:
        call(run, verb, "--fresh")
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert "--fresh would delete" in error
    assert "add --yes" in error
    assert left(run) == before


MISTAKES = (
    "source.path=nowhere",
    "selection.budget=400",
    "selection.bugdet=1",
    "selection.methods=[nosuch]",
    "held_out.path=nowhere",
)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_nothing_is_deleted_after_a_mistake(run: Run, mistake: str) -> None:
    before = left(run)
    with pytest.raises(SystemExit) as end:
        call(run, "extract_features", mistake, "--fresh", "--yes")
    assert end.value.code == 2
    assert left(run) == before


def test_nothing_is_deleted_if_the_source_is_gone(run: Run) -> None:
    before = left(run)
    shutil.rmtree(run.config.source.path)
    with pytest.raises(SystemExit) as end:
        call(run, "extract_features", "--fresh", "--yes")
    assert end.value.code == 2
    assert left(run) == before


def test_verbs_that_compute_no_stage_have_no_such_option(run: Run) -> None:
    exports = {"card", "export", "export_samples"}
    assert set(NOT_FRESH) == {"compare", "sweep", "report", "verify"} | exports
    before = left(run)
    for verb in NOT_FRESH:
        with pytest.raises(SystemExit) as end:
            call(run, verb, "--fresh")
        assert end.value.code == 2
    assert left(run) == before


@pytest.mark.parametrize(("answer", "may"), [("y", True), ("YES", True), ("", False), ("n", False)])
def test_a_terminal_is_asked(
    run: Run, monkeypatch: pytest.MonkeyPatch, answer: str, *, may: bool
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return answer

    deletion = deletion_of(run, "evaluate")
    if may:
        confirm(deletion, yes=False, ask=ask)
    else:
        with pytest.raises(InputError, match="nothing was deleted"):
            confirm(deletion, yes=False, ask=ask)
    count = len(results_of(["evaluate", "report"]))
    assert f"{count} files ({count} bytes) of evaluate, report" in asked[0]


def test_folders_that_become_empty_are_deleted(run: Run) -> None:
    shutil.rmtree(run.store.path("sweeps"))
    with deletion_of(run, "extract_tokens").in_force():
        pass
    assert not Path(run.store.path("tokens")).exists()
    assert Path(run.store.path("training")).is_dir()


@pytest.mark.parametrize(
    "error", [InputError("no such model"), KeyboardInterrupt(), OSError(errno.EIO, "x")]
)
def test_nothing_is_deleted_if_the_work_fails(run: Run, error: BaseException) -> None:
    before = left(run)

    def command(run: Run, _: argparse.Namespace) -> None:
        assert left(run) == KEPT
        run.store.write_bytes("report.html", b"new")
        raise error

    with pytest.raises(SystemExit):
        run_on_directory(run_parser("run"), command, [run.store.root, "--fresh", "--yes"])
    assert left(run) == before
    assert run.store.read_bytes("report.html") == b"new"
    assert run.store.entries() == sorted({name.split("/")[0] for name in before})


def test_results_are_put_back_after_the_process_was_killed(run: Run) -> None:
    before = left(run)
    held = deletion_of(run, "run").in_force()
    held.__enter__()
    assert left(run) == KEPT
    assert call(run, "evaluate") == ["evaluate"]
    assert left(run) == before


def test_a_link_into_another_run_is_not_followed(run: Run, tmp_path: Path) -> None:
    other = start_run(tmp_path / "c.yaml", tmp_path / "other")
    name = next(name for name in EVERY if name.startswith("training/") and "/metrics/" in name)
    other.store.write_bytes(name, b"theirs")
    shutil.rmtree(run.store.path("training"))
    Path(run.store.path("training")).symlink_to(other.store.path("training"))
    call(run, "train", "--fresh", "--yes")
    assert other.store.read_bytes(name) == b"theirs"


def test_results_behind_a_link_to_another_disk_are_deleted(run: Run, tmp_path: Path) -> None:
    shutil.move(run.store.path("training"), tmp_path / "disk")
    Path(run.store.path("training")).symlink_to(tmp_path / "disk")
    call(run, "train", "--fresh", "--yes")
    assert left(run) == (EVERY - results_of(FROM_TRAINING)) | KEPT
