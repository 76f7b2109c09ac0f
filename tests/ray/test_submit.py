"""Jobs on a real head that asks for a token: followed, failed, stopped, resumed, refused.

Following, detaching and stopping have one real process each; everything else runs in this one.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.ray.head import Head, free_port
from tests.ray.tiny import write_config
from tests.runs import results
from tests.verbs import call

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
TOKEN = "the-token-of-this-head"
OTHER_TOKEN = "the-token-of-another-head"
Done = subprocess.CompletedProcess[str]
Ask = Callable[..., Done]


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


def submit(head: Head, *arguments: str) -> Done:
    """Run the command in a process of its own, as a user would."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"RAY_AUTH_TOKEN_PATH": str(head.token_file), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "jobs.submit", *arguments, "--address", head.address]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900)


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run the command in this process: of a head, or with another token or address."""
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)

    def run(
        head: Head, *arguments: str, token: Path | None = None, address: str | None = None
    ) -> Done:
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token or head.token_file))
        status = 0
        try:
            call("submit", [*arguments, "--address", address or head.address])
        except SystemExit as end:
            status = end.code
        printed = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, status, printed.out, printed.err)

    return run


@pytest.fixture(scope="module")
def finished(head: Head, root: Path) -> Done:
    """The tiny demo as a job, followed to its end."""
    return submit(head, "run", "--config", str(root / "tiny.yaml"))


def test_a_job_is_followed_to_its_end(finished: Done, root: Path) -> None:
    assert finished.returncode == 0, finished.stdout + finished.stderr
    lines = finished.stdout.splitlines()
    assert lines[0].startswith("job raysubmit_")
    assert f"otcondense run --config {root}/tiny.yaml" in lines[0]
    assert any(line.startswith("report ") for line in lines)
    assert lines[-1].startswith("otcondense run done in ")
    assert (root / "run/report.html").is_file()
    assert TOKEN not in finished.stdout + finished.stderr


def test_the_same_command_resumes_a_stopped_job(
    finished: Done, head: Head, root: Path, ask: Ask
) -> None:
    place = ("--config", str(root / "tiny.yaml"), "--run", str(root / "stopped"))
    again = ("run", *place, "extraction.num_encoders=1")
    sent = submit(head, *again, "--detach", "--id", "to-be-stopped")
    assert sent.returncode == 0, sent.stderr
    assert f"otcondense submit stop to-be-stopped --address {head.address}" in sent.stdout
    wait_for_features(root / "stopped")

    stopped = submit(head, "stop", "to-be-stopped")
    assert stopped.returncode == 0, stopped.stderr
    assert stopped.stdout == "job to-be-stopped stopped\n"
    assert not (root / "stopped/report.html").exists()
    assert ask(head, "follow", "to-be-stopped").returncode == 130
    stopped_again = ask(head, "stop", "to-be-stopped")
    assert stopped_again.stdout == "job to-be-stopped had already ended\n"

    resumed = ask(head, *again)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert results(root / "stopped") == results(root / "run")
    jobs = [line.split()[:2] for line in ask(head, "list").stdout.splitlines()]
    assert jobs.count(["to-be-stopped", "stopped"]) == 1
    assert sum(state == "succeeded" for _, state in jobs) >= 2


def wait_for_features(run: Path) -> None:
    """Wait until a run has written the features of its first class."""
    deadline = time.monotonic() + 600
    while not list(run.glob("features/*/class_name=0/part-0.parquet")):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_exit_status_of_a_failed_job_is_passed_on(
    finished: Done, head: Head, root: Path, ask: Ask
) -> None:
    assert ask(head, "verify", str(root / "run")).returncode == 0
    (root / "run/selection").rename(root / "run/away")
    damaged = ask(head, "verify", str(root / "run"))
    (root / "run/away").rename(root / "run/selection")
    assert damaged.returncode == 1, damaged.stdout + damaged.stderr
    assert damaged.stderr.endswith("ended with status 1\n")
    mistaken = ask(head, "status", str(root / "nowhere"))
    assert mistaken.returncode == 2
    assert "but it does not exist" in mistaken.stdout


MISTAKES: dict[tuple[str, ...], str] = {
    ("runn",): "runn is not a verb of jobs; did you mean run?",
    ("run", "selection.bugdet=3"): "did you mean selection.budget?",
    ("run",): "must be an absolute path on storage that all nodes share",
    ("doctor", "--env", "HF_TOKEN=x"): "--env HF_TOKEN looks like a secret",
    ("doctor", "--env", "HF_HOME"): "--env must look like NAME=VALUE",
    ("stop",): "stop takes the name of one job, found 0",
    ("follow", "no-such-job"): "no-such-job does not exist",
}


def test_mistakes_are_reported_before_anything_is_sent(head: Head, ask: Ask) -> None:
    before = head.jobs()
    for arguments, message in MISTAKES.items():
        result = ask(head, *arguments)
        assert result.returncode == 2, arguments
        assert message in result.stderr
        assert "Traceback" not in result.stderr
    assert head.jobs() == before


def test_a_wrong_or_missing_token_and_an_unreachable_cluster(
    head: Head, root: Path, ask: Ask
) -> None:
    wrong = ask(head, "list", token=write_token(root / "wrong", OTHER_TOKEN))
    missing = ask(head, "list", token=write_token(root / "empty", ""))
    away = ask(head, "list", address=f"http://127.0.0.1:{free_port()}")
    nonsense = ask(head, "list", address="head:8265")
    assert (
        f"refuses the token from the file {root}/wrong: "
        "it is another cluster's, or was changed since"
    ) in wrong.stderr
    assert "asks for a token, found none here" in missing.stderr
    assert "cannot be reached; is the cluster up, and the tunnel" in away.stderr
    assert "must be that of the dashboard" in nonsense.stderr
    for result in (wrong, missing, away, nonsense):
        assert result.returncode == 2
        assert "Traceback" not in result.stderr
        assert TOKEN not in result.stderr
        assert OTHER_TOKEN not in result.stderr


def test_a_token_that_has_changed_is_fetched_again(root: Path, ask: Ask) -> None:
    first = Head(write_token(root / "first", TOKEN))
    try:
        assert ask(first, "list").returncode == 0
    finally:
        first.stop()
    second = Head(write_token(root / "second", OTHER_TOKEN), dashboard_port=first.dashboard_port)
    try:
        stale = ask(second, "list", token=root / "first")
        assert stale.returncode == 2
        assert "was changed since; fetch the cluster's token again" in stale.stderr
        assert ask(second, "list").returncode == 0
    finally:
        second.stop()
