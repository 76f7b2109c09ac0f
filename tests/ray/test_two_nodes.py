"""A run on two nodes gives the bytes of a run on one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ray.head import Head
from tests.ray.tiny import write_config
from tests.runs import results
from tests.verbs import call

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.full, pytest.mark.timeout(2400)]

RESULTS = ("features/", "selection/", "subset-")


def arguments(root: Path, run: str, *overrides: str) -> list[str]:
    return ["--config", str(root / "tiny.yaml"), "--run", str(root / run), "models={}", *overrides]


def select_on(environment: dict[str, str], *given: str) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    everything = {**kept, "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run(
        [sys.executable, "-m", "jobs.run", *given],
        capture_output=True,
        text=True,
        env=everything,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_two_nodes_give_the_bytes_of_one(tmp_path: Path) -> None:
    write_config(tmp_path)
    (tmp_path / "token").write_text("the-token-of-two-nodes")
    (tmp_path / "token").chmod(0o600)
    head = Head(tmp_path / "token", num_cpus=1, loopback=False)
    try:
        head.add_node(num_cpus=1)
        # Two workers of one CPU each: one on either node, since neither has room for both.
        environment = {
            "RAY_ADDRESS": head.gcs_address,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token"),
        }
        workers = ("extraction.num_encoders=1", "selection.pool={num_actors: 2, num_cpus: 1.0}")
        select_on(environment, *arguments(tmp_path, "two", *workers))
    finally:
        head.stop()
    call(
        "run",
        arguments(tmp_path, "one", "extraction.num_encoders=0", "selection.pool={num_actors: 1}"),
    )
    two = results(tmp_path / "two", RESULTS)
    assert len(two) > 12
    assert two == results(tmp_path / "one", RESULTS)
