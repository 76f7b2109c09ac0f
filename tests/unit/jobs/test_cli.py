"""The help of a verb, and its end when the storage fails."""

import argparse
import errno
import os
import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml

from jobs.command.cli import run_on_directory, run_parser
from jobs.command.exit import MISTAKE, RESUME
from jobs.command.recording import note_dashboard, recorded
from jobs.compare import __main__ as compare
from jobs.compare.config import CompareConfig
from jobs.run_directory.last_command import COMMAND_FILE, read_last_command
from jobs.run_directory.run import Run
from jobs.run_directory.stage_log import log_stage
from jobs.sweep import __main__ as sweep
from jobs.trials.config import SweepConfig
from otcondense.errors import InputError, remote_fault, storage_fault
from otcondense.store import DriverLock, Store, is_driven
from tests.runs import start_run
from tests.verbs import call


def run(tmp_path, error):
    config = tmp_path / "c.yaml"
    config.write_text(
        yaml.safe_dump({"source": {"path": str(tmp_path)}, "confidence": {"kind": "none"}})
    )
    start_run(config, tmp_path / "run")

    def command(_: Run, __: argparse.Namespace) -> None:
        raise error

    run_on_directory(
        run_parser("select_subset"), command, [f"--config={config}", f"--run={tmp_path / 'run'}"]
    )


@pytest.mark.parametrize(
    ("error", "state", "sentence"),
    [
        (None, "finished", ""),
        (KeyboardInterrupt(), "interrupted", ""),
        (KeyboardInterrupt("goes on after step 9"), "interrupted", "goes on after step 9"),
        (InputError("k must be 1"), "failed", "k must be 1"),
        (OSError(errno.ENOSPC, "full", "/x"), "failed", "/x: full"),
        (RuntimeError("odd\nlines"), "failed", "RuntimeError: odd (the terminal shows where)"),
    ],
)
@pytest.mark.parametrize("is_writable", [True, False])
def test_a_command_notes_how_it_ended(tmp_path, monkeypatch, error, state, sentence, is_writable):
    store = Store(str(tmp_path))
    if not is_writable:
        monkeypatch.setattr("otcondense.store.files.write_file", _refuse)
    ends = nullcontext() if error is None else pytest.raises(type(error))
    with ends as raised, recorded(store, "train"):
        assert not is_writable or read_last_command(store).state == "working"
        if error is not None:
            raise error
    assert error is None or raised.value is error
    command = read_last_command(store)
    if is_writable:
        assert (command.verb, command.state, command.sentence) == ("train", state, sentence)
        assert 0 < command.started <= command.ended
    else:
        assert command is None


@pytest.mark.parametrize(
    ("address", "noted"),
    [
        ("127.0.0.1:8265", "127.0.0.1:8265"),
        ("head.example:80", "head.example:80"),
        ("[::1]:8265", "[::1]:8265"),
        ("", ""),
        ("javascript:alert(1)", ""),
        ("h:1/<script>", ""),
        ("user:word@h:1", ""),
        ("h:1\n", ""),
    ],
)
def test_a_command_notes_the_dashboard_of_its_cluster(tmp_path, address, noted):
    store = Store(str(tmp_path))
    note_dashboard(address)  # no command is at work
    with recorded(store, "train"):
        note_dashboard(address)
        assert read_last_command(store).dashboard == noted
    assert (read_last_command(store).state, read_last_command(store).dashboard) == (
        "finished",
        noted,
    )


def _refuse(*_):
    raise OSError(errno.EROFS, "read-only")


def test_a_first_start_that_is_a_mistake_leaves_no_run(tmp_path):
    def command(run: Run, _: argparse.Namespace) -> None:
        log_stage(run, "extract_features", 0.1)
        raise InputError("no")

    with pytest.raises(SystemExit):
        run_on_directory(
            run_parser("extract_features"),
            command,
            ["--config=jobs/configs/demo.yaml", f"--run={tmp_path / 'run'}"],
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b'{"verb": 1}', b" " * 10**5])
def test_a_damaged_note_of_a_command_counts_as_missing(tmp_path, content):
    store = Store(str(tmp_path))
    store.write_bytes(COMMAND_FILE, content)
    assert read_last_command(store) is None


@pytest.mark.parametrize("is_at_work", [True, False])
def test_what_is_missing_while_a_run_is_at_work_is_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], is_at_work: bool
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump({"source": {"path": str(tmp_path / "images")}}))
    store = start_run(config, tmp_path / "run").store
    with DriverLock(store) if is_at_work else nullcontext():
        assert is_driven(store) is is_at_work
        call_export = ["--run", store.root, "--output", str(tmp_path / "s.json")]
        with pytest.raises(SystemExit):
            call("export", call_export)
    said = capsys.readouterr().err
    assert ("a run is at it; wait for it" in said) is is_at_work
    assert ("run otcondense select_subset first" in said.replace("`", "")) is not is_at_work


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_failing_storage_gives_one_sentence(tmp_path, capsys, number):
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path, OSError(number, os.strerror(number), "/data/run/x.parquet"))
    assert read_last_command(Store(str(tmp_path / "run"))).state == "failed"
    assert stopped.value.code == MISTAKE
    assert capsys.readouterr().err == (
        f"\nerror: /data/run/x.parquet: {os.strerror(number)}. {RESUME}\n"
    )


def test_other_errors_keep_their_traceback(tmp_path):
    with pytest.raises(OSError, match="Bad file descriptor"):
        run(tmp_path, OSError(errno.EBADF, os.strerror(errno.EBADF)))


def test_the_error_of_a_worker_is_found_among_its_causes():
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    wrapped = RuntimeError("a task failed")
    wrapped.cause = full  # as Ray does
    outer = RuntimeError("a stage failed")
    outer.__cause__ = wrapped
    assert storage_fault(outer) is full
    assert storage_fault(RuntimeError()) is None
    assert remote_fault(RuntimeError()) is None


def test_an_error_that_causes_itself_is_not_followed_for_ever():
    first, second = RuntimeError("a training failed"), RuntimeError("a worker failed")
    first.__cause__, second.__cause__ = second, first
    assert storage_fault(first) is None
    assert remote_fault(first) is None


@pytest.mark.parametrize(("verb", "model"), [(sweep, SweepConfig), (compare, CompareConfig)])
def test_help_has_every_field_of_the_sweep_or_comparison_file(verb, model, capsys):
    with pytest.raises(SystemExit):
        verb.parser().parse_args(["--help-settings", verb.__name__.split(".")[1]])
    shown = capsys.readouterr().out
    assert "\n  selection.budget  [" not in shown
    words = " ".join(shown.split())
    for name, field in model.model_fields.items():
        assert re.search(rf"^  {name}(\.NAME)?(\.\*|  \[.*\])?$", shown, re.MULTILINE), name
        assert " ".join(field.description.split()) in words, name


def test_prefetch_asks_for_the_configuration_alone(capsys: pytest.CaptureFixture[str]) -> None:
    from jobs.prefetch.__main__ import main

    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert "needs a configuration file, found none; add --config FILE" in capsys.readouterr().err


def test_a_reader_that_has_left_ends_a_verb_without_a_traceback():
    """As in `otcondense run | head -1`."""
    code = (
        "from jobs.command.exit import exit_with\n"
        "exit_with(lambda: [print('line', flush=True) for _ in range(10**6)] and None)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as verb:
        assert verb.stdout.readline() == "line\n"
        verb.stdout.close()
        assert verb.stderr.read() == ""
    assert verb.returncode == 1
