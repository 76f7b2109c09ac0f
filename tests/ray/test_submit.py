"""Jobs on a real head that asks for a token: followed, failed, stopped, resumed, refused."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.submit.__main__ import main
from tests.ray.head import Head, free_port
from tests.ray.tiny import write_config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
TOKEN, OTHER_TOKEN = "the-token-of-this-head", "the-token-of-another-head"


def write_token(path: Path, token: str) -> Path:
    path.write_text(token)
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("submit")
    write_config(root, models=("sit",), subsets=("geometry_aware",), lean=True)
    write_token(root / "token", TOKEN)
    return root


@pytest.fixture(scope="module")
def head(root: Path) -> Iterator[Head]:
    head = Head(root / "token")
    yield head
    head.stop()


def submit(
    head: Head, *arguments: str, token: Path | None = None, address: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, with the head's token unless another file is named."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"RAY_AUTH_TOKEN_PATH": str(token or head.token_file), "OMP_NUM_THREADS": "1"}
    command = [
        sys.executable,
        "-m",
        "jobs.submit",
        *arguments,
        "--address",
        address or head.address,
    ]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900)


def results(run: Path) -> dict[str, bytes]:
    names = {str(path.relative_to(run)): path for path in sorted(run.rglob("*")) if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in names.items()
        if not name.startswith(("logs/", ".lock", "report", "config"))
    }


@pytest.fixture(scope="module")
def finished(head: Head, root: Path) -> subprocess.CompletedProcess[str]:
    """The tiny demo as a job, followed to its end."""
    return submit(head, "run", "--config", str(root / "tiny.yaml"))


def test_a_job_is_followed_to_its_end(
    finished: subprocess.CompletedProcess[str], root: Path
) -> None:
    assert finished.returncode == 0, finished.stdout + finished.stderr
    lines = finished.stdout.splitlines()
    assert lines[0].startswith("job raysubmit_")
    assert f"python -m jobs.run --config {root}/tiny.yaml" in lines[0]
    assert any(line.startswith("report ") for line in lines)
    assert lines[-1].startswith("python -m jobs.run done in ")
    assert (root / "run/report.html").is_file()
    assert TOKEN not in finished.stdout + finished.stderr


def test_a_stopped_job_is_resumed_by_the_same_command(
    finished: subprocess.CompletedProcess[str], head: Head, root: Path
) -> None:
    workers = ("extraction.num_encoders=1", "models.sit.training.num_workers=1")
    again = ("run", "--config", str(root / "tiny.yaml"), "--run", str(root / "stopped"), *workers)
    sent = submit(head, *again, "--detach", "--id", "to-be-stopped")
    assert sent.returncode == 0, sent.stderr
    assert f"python -m jobs.submit stop to-be-stopped --address {head.address}" in sent.stdout
    deadline = time.monotonic() + 600
    while not list((root / "stopped").glob("features/*/class_name=0/part-0.parquet")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    stopped = submit(head, "stop", "to-be-stopped")
    assert (stopped.returncode, stopped.stdout) == (0, "job to-be-stopped stopped\n"), (
        stopped.stderr
    )
    assert not (root / "stopped/report.html").exists()
    assert submit(head, "follow", "to-be-stopped").returncode == 130
    assert submit(head, "stop", "to-be-stopped").stdout == "job to-be-stopped had ended before\n"
    resumed = submit(head, *again)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert results(root / "stopped") == results(root / "run")
    jobs = submit(head, "list").stdout.splitlines()
    assert [line.split()[:2] for line in jobs if line.startswith("to-be-stopped")] == [
        ["to-be-stopped", "stopped"]
    ]
    assert sum(" succeeded " in line for line in jobs) >= 2


def test_the_exit_status_of_a_failed_job_is_passed_on(
    finished: subprocess.CompletedProcess[str], head: Head, root: Path
) -> None:
    assert submit(head, "verify", str(root / "run")).returncode == 0
    (root / "run/selection").rename(root / "run/away")
    damaged = submit(head, "verify", str(root / "run"))
    (root / "run/away").rename(root / "run/selection")
    assert damaged.returncode == 1, damaged.stdout + damaged.stderr
    assert damaged.stderr.endswith("ended with status 1\n")
    mistaken = submit(head, "status", str(root / "nowhere"))
    assert mistaken.returncode == 2
    assert "found no config.yaml there" in mistaken.stdout


MISTAKES: dict[tuple[str, ...], str] = {
    ("runn",): "runn is no verb of jobs; did you mean run?",
    ("run", "selection.bugdet=3"): "did you mean selection.budget?",
    ("run",): "must be an absolute path on storage that all nodes share",
    ("doctor", "--env", "HF_TOKEN=x"): "--env HF_TOKEN looks like a secret",
    ("doctor", "--env", "HF_HOME"): "--env must look like NAME=VALUE",
    ("stop",): "stop takes the name of one job, found 0",
}


def test_a_mistake_is_told_before_anything_is_sent(
    head: Head, capsys: pytest.CaptureFixture[str]
) -> None:
    before = head.jobs()
    try:
        for arguments, message in MISTAKES.items():
            with pytest.raises(SystemExit) as stopped:
                main([*arguments, "--address", head.address])
            error = capsys.readouterr().err
            assert stopped.value.code == 2, arguments
            assert message in error
            assert "Traceback" not in error
    finally:
        logging.disable(logging.NOTSET)  # the command silences Ray's packaging
    unknown = submit(head, "follow", "no-such-job")
    assert unknown.returncode == 2
    assert "no-such-job does not exist" in unknown.stderr
    assert head.jobs() == before


def test_a_token_that_is_wrong_or_missing_and_a_cluster_that_is_away(
    head: Head, root: Path
) -> None:
    wrong = submit(head, "list", token=write_token(root / "wrong", OTHER_TOKEN))
    missing = submit(head, "list", token=write_token(root / "empty", ""))
    away = submit(head, "list", address=f"http://127.0.0.1:{free_port()}")
    nonsense = submit(head, "list", address="head:8265")
    assert (
        f"refuses the token from the file {root}/wrong: it is another cluster's, or was changed since"
        in wrong.stderr
    )
    assert "asks for a token, found none here" in missing.stderr
    assert "cannot be reached; is the cluster up, and the tunnel" in away.stderr
    assert "must be that of the dashboard" in nonsense.stderr
    for result in (wrong, missing, away, nonsense):
        assert result.returncode == 2
        assert "Traceback" not in result.stderr
        assert TOKEN not in result.stderr
        assert OTHER_TOKEN not in result.stderr


def test_a_token_that_was_changed_since(root: Path) -> None:
    first = Head(write_token(root / "first", TOKEN))
    try:
        assert submit(first, "list").returncode == 0
    finally:
        first.stop()
    second = Head(write_token(root / "second", OTHER_TOKEN), dashboard_port=first.dashboard_port)
    try:
        stale = submit(second, "list", token=root / "first")
        assert stale.returncode == 2
        assert "was changed since; fetch the cluster's token again" in stale.stderr
        assert submit(second, "list").returncode == 0
    finally:
        second.stop()
