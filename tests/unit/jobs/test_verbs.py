"""Every verb found is in the table, starts without heavy imports, and ends in one sentence."""

import errno
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from jobs.__main__ import main as list_verbs
from jobs.command.exit import DONE, INTERRUPTED, MISTAKE, PROBLEMS
from jobs.command.verbs import GROUPS, VERBS
from jobs.run_directory.stages import STAGES
from otcondense.errors import InputError
from tests.runs import start_run
from tests.verbs import call

FOUND = sorted(path.parent.name for path in Path("jobs").glob("*/__main__.py"))
CONFIG = ("--config", "CONFIG", "--run", "RUN")
"""`CONFIG` and `RUN` become a configuration file and a run directory of the test."""
ARGUMENTS: dict[str, tuple[str, ...]] = {
    **{stage.name: CONFIG for stage in STAGES},
    "card": (*CONFIG, "--license", "mit"),
    "compare": CONFIG,
    "completion": ("bash",),
    "convert": ("from-public", "weights.pt", "checkpoint", "--family", "DiT"),
    "dashboard": ("RUN",),
    "doctor": (),
    "export": (*CONFIG, "--output", "subset.json"),
    "export_samples": (*CONFIG, "--output", "samples.npz"),
    "measure": ("samples=samples.npz", "against=images"),
    "prefetch": ("CONFIG",),
    "run": CONFIG,
    "select": ("features.npy", "--output", "subset.json"),
    "status": ("RUN",),
    "stream": ("features.npy", "--output", "subset.json"),
    "submit": ("run",),
    "sweep": (*CONFIG, "--sweep", "demo"),
    "verify": ("RUN",),
}
"""Valid arguments of each verb. A new verb that is not a stage is one line here."""
HELP_OF_ALL = """
import contextlib, importlib, io, json, sys
heavy = {}
for verb in sys.argv[1:]:
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as printed:
        importlib.import_module(f"jobs.{verb}.__main__").main(["--help"])
    assert "usage: otcondense " in printed.getvalue(), verb
    heavy[verb] = [name for name in ("torch", "ray") if name in sys.modules]
print(json.dumps(heavy))
"""
HELP_WITHOUT_READER = """
import importlib, json, os, sys
kept = os.dup(1)
codes = {}
for verb in sys.argv[1:]:
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)
    os.close(writer)
    try:
        importlib.import_module(f"jobs.{verb}.__main__").main(["--help"])
    except SystemExit as end:
        codes[verb] = end.code
    os.dup2(kept, 1)
print(json.dumps(codes))
"""
COST_OF_HELP = """
import re, runpy, sys, time
sys.argv = ["jobs.status", "--help"]
try:
    runpy.run_module("jobs.status", run_name="__main__", alter_sys=True)
finally:
    peak = re.search("VmHWM: *([0-9]+)", open("/proc/self/status").read().replace("\\t", " "))
    print(f"{time.process_time():.2f} s of CPU, {int(peak[1]) // 1024} MB")
"""
every_verb = pytest.mark.parametrize("verb", FOUND)


@pytest.fixture(autouse=True)
def kept_signals() -> Iterator[None]:
    """A verb that ends changes what signals do, as its process is about to end."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def ending(
    verb: str, fault: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> object:
    """Run a verb whose work ends with a fault, and return the exit status."""
    config = tmp_path / "config.yaml"
    values = {"source": {"path": str(tmp_path)}, "confidence": {"kind": "none"}}
    config.write_text(yaml.safe_dump(values))
    names = {"CONFIG": str(config), "RUN": str(tmp_path / "run")}
    start_run(config, tmp_path / "run")

    def work(*_: object) -> None:
        raise fault

    monkeypatch.setattr(importlib.import_module(f"jobs.{verb}.__main__"), "work", work)
    with pytest.raises(SystemExit) as end:
        call(verb, [names.get(argument, argument) for argument in ARGUMENTS[verb]])
    return end.value.code


def only_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was printed, which must be one line."""
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.strip().splitlines()
    return line


def test_the_table_lists_exactly_the_verbs_found() -> None:
    assert sorted(VERBS) == FOUND
    assert sorted(ARGUMENTS) == FOUND


@every_verb
def test_an_interrupted_verb_ends_with_130_and_one_sentence(
    verb: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ending(verb, KeyboardInterrupt(), tmp_path, monkeypatch) == INTERRUPTED
    assert only_line(capsys).startswith("interrupted.")


@every_verb
def test_failed_storage_ends_a_verb_with_2_and_one_sentence(
    verb: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fault = OSError(errno.EIO, os.strerror(errno.EIO), "/data/file")
    assert ending(verb, fault, tmp_path, monkeypatch) == MISTAKE
    assert only_line(capsys).startswith(f"error: /data/file: {os.strerror(errno.EIO)}.")


@every_verb
def test_a_mistake_of_the_user_ends_a_verb_with_2_and_one_sentence(
    verb: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fault = InputError("budget must be at least 1, found 0")
    assert ending(verb, fault, tmp_path, monkeypatch) == MISTAKE
    assert only_line(capsys) == "error: budget must be at least 1, found 0"


def test_the_verbs_are_listed_by_group(capsys: pytest.CaptureFixture[str]) -> None:
    list_verbs([])
    printed = capsys.readouterr().out
    places = [printed.index(f"\n{group}\n") for group in GROUPS]
    assert places == sorted(places)
    for group, verbs in GROUPS.items():
        section = printed.split(f"\n{group}\n")[1].split("\n\n")[0].splitlines()
        assert [line.split()[0] for line in section if line] == [verb.name for verb in verbs]
        assert all(verb.summary in printed for verb in verbs)


def test_a_list_of_verbs_takes_no_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        list_verbs(["status"])
    assert end.value.code == MISTAKE
    assert "a verb is started as `otcondense status`" in only_line(capsys)


def test_a_reader_of_the_help_may_leave_early() -> None:
    """As `head` does."""
    command = [sys.executable, "-c", HELP_WITHOUT_READER, *FOUND]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    codes = json.loads(done.stdout)
    assert sorted(codes) == FOUND
    # argparse itself says nothing of a reader that has left.
    assert set(codes.values()) <= {DONE, PROBLEMS}


def test_the_help_of_a_verb_imports_neither_torch_nor_ray() -> None:
    command = [sys.executable, "-c", HELP_OF_ALL, *FOUND]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    heavy = {verb: names for verb, names in json.loads(done.stdout).items() if names}
    assert not heavy, "the first of these verbs imports them; the others follow in its process"


def test_the_cost_of_the_help_of_status_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """A busy machine cannot be held to seconds, so they are printed."""
    command = [sys.executable, "-c", COST_OF_HELP]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: otcondense status")
    with capsys.disabled():
        print(f"\njobs.status --help: {done.stdout.splitlines()[-1]}")
