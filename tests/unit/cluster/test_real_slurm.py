"""The Slurm script as a job of a real Slurm, with two nodes on one machine."""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import slurm_machine
from tests.slurm_machine import GPUS, Slurm
from tests.unit.cluster.test_slurm import SCRIPT, TOOLS, VERB

PORT = 26817
SEEN_SECONDS = 300


@pytest.fixture
def slurm() -> Iterator[Slurm]:
    if not slurm_machine.is_possible():
        pytest.skip("needs root and the packages slurmctld, slurmd, slurm-client and munge")
    root = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # sockets need a short path
    with slurm_machine.started(root, PORT) as made:
        yield made
    shutil.rmtree(root)


def wait_until_seen(checkout: Path) -> dict[str, Any]:
    deadline = time.monotonic() + SEEN_SECONDS
    while not (checkout / "seen.json").exists():
        assert time.monotonic() < deadline, "".join(
            log.read_text() for log in checkout.glob("*.log")
        )
        time.sleep(0.5)
    seen: dict[str, Any] = json.loads((checkout / "seen.json").read_text())
    (checkout / "seen.json").unlink()
    return seen


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_a_job_on_two_nodes_is_ended_early_requeued_and_goes_on(
    slurm: Slurm, tmp_path: Path
) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "__init__.py").write_text("")
    (tmp_path / "jobs" / "probe.py").write_text(VERB)
    slurm.environment["PATH"] = f"{TOOLS}:{slurm.environment['PATH']}"
    slurm.environment["RAY_DASHBOARD_STARTUP_TIMEOUT_S"] = "300"
    options = ("--nodes=2", f"--gpus-per-node={GPUS}", "--time=60")
    job = slurm.call("sbatch", "--parsable", *options, str(SCRIPT), "probe", "a word", cwd=tmp_path)
    job = job.strip()
    seen = wait_until_seen(tmp_path)
    assert seen["nodes"] == 2
    assert seen["resources"]["GPU"] == 2 * GPUS
    assert seen["arguments"] == ["a word"]

    slurm.call("scancel", "--signal=TERM", "--batch", job)  # as before the time limit
    slurm.wait(job, JobState="PENDING", Restarts="1")
    assert not list(tmp_path.glob(".slurm-*")), "the token is deleted before Slurm kills the rest"
    slurm.call("scontrol", "update", f"jobid={job}", "StartTime=now")
    assert wait_until_seen(tmp_path)["nodes"] == 2
    (tmp_path / "go").touch()
    slurm.wait(job, JobState="FAILED", ExitCode="3:0")
    assert not list(tmp_path.glob(".slurm-*"))
