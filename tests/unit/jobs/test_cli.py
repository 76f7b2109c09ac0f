"""The help of a verb, and its end when the storage fails."""

import argparse
import errno
import os
import re
import subprocess
import sys

import pytest
import yaml

from jobs.command.cli import run_on_directory, run_parser
from jobs.command.exit import MISTAKE, RESUME
from jobs.compare import __main__ as compare
from jobs.compare.config import CompareConfig
from jobs.run_directory.run import Run
from jobs.sweep import __main__ as sweep
from jobs.trials.config import SweepConfig
from otcondense.errors import remote_fault, storage_fault
from tests.runs import start_run


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


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_failing_storage_gives_one_sentence(tmp_path, capsys, number):
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path, OSError(number, os.strerror(number), "/data/run/x.parquet"))
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
