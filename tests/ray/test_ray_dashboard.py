"""A run in Ray's own dashboard, read through its HTTP API.

It shows classes as tasks, stages as process names, the job, the training and the metrics.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.ray.head import Head
from tests.ray.selection_runs import extracted
from tests.ray.tiny import write_config
from tests.verbs import call

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.full, pytest.mark.timeout(2400)]
METRICS = (
    "ray_otcondense_units{",
    "ray_otcondense_swaps_total{",
    "ray_otcondense_unit_seconds_bucket{",
)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    token = tmp_path_factory.mktemp("head") / "token"
    token.write_text("the-token-of-this-head")
    token.chmod(0o600)
    head = Head(token)
    yield head
    head.stop()


def start(head: Head, verb: str, config: Path) -> subprocess.Popen:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    # Without the switch the driver looks for a head on 127.0.0.1 at the address of a network card
    # (docs/security.md).
    loopback = {"RAY_ADDRESS": f"127.0.0.1:{head.port}", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    environment |= {
        **loopback,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(head.token_file),
    }
    # A shell lets its background jobs ignore Ctrl-C, these tests too; the driver must not inherit
    # that.
    command = [
        "env",
        "--default-signal=INT",
        sys.executable,
        "-m",
        f"jobs.{verb}",
        "--config",
        str(config),
    ]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**environment, "OMP_NUM_THREADS": "1"},
    )


def ask(head: Head, path: str) -> Any:
    headers = {"Authorization": f"Bearer {head.token_file.read_text()}"}
    answer = requests.get(f"{head.address}{path}", headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def until(seen: dict[str, bool], process: subprocess.Popen, look) -> None:
    """Look until everything has been seen."""
    deadline = time.monotonic() + 900
    while not all(seen.values()) and time.monotonic() < deadline and process.poll() is None:
        look()
        time.sleep(0.3)


def exported(head: Head) -> str:
    """Return the metrics that the nodes export for Prometheus."""
    nodes = ask(head, "/api/v0/nodes?detail=true")["data"]["result"]["result"]
    addresses = {node["node_ip"] for node in nodes}
    assert addresses <= {"127.0.0.1"}  # none before the head has reported itself
    targets = ask(head, "/api/prometheus/sd")
    ports = [target for group in targets for target in group["targets"]]
    try:
        return "".join(
            requests.get(f"http://{target}/metrics", timeout=30).text for target in ports
        )
    except requests.ConnectionError:  # a node announces its port before it opens it
        return ""


def test_classes_and_stages_are_shown(head: Head, tmp_path: Path) -> None:
    config = extracted(tmp_path) / "config.yaml"
    values = yaml.safe_load(config.read_text())
    # Random units end at once. The others run until Ray's agents, which look every few seconds,
    # have seen them.
    values["selection"] |= {
        "methods": ["random", "geometry_aware"],
        "settings": {"geometry_aware": {"rebuilds": 100_000, "lower_bound": None}},
    }
    config.write_text(yaml.safe_dump(values))

    process = start(head, "select_subset", config)
    seen = {"task": False, "title": False, "job": False, "metrics": False}

    def look() -> None:
        tasks = ask(head, "/api/v0/tasks?detail=true")["data"]["result"]["result"]
        seen["task"] |= any(task["name"].startswith("geometry_aware, class ") for task in tasks)
        for node in ask(head, "/nodes?view=summary")["data"]["summary"]:
            detail = ask(head, f"/nodes/{node['raylet']['nodeId']}")["data"]["detail"]
            lines = [
                " ".join(filter(None, worker.get("cmdline") or []))
                for worker in detail.get("workers", [])
            ]
            seen["title"] |= any(
                "ray::geometry_aware, class " in line
                and line.rstrip().endswith(("swaps", "rebuilds", "lower bound"))
                for line in lines
            )
        jobs = ask(head, "/api/jobs/")
        seen["job"] |= any("jobs.select_subset" in job["entrypoint"] for job in jobs)
        text = exported(head)
        seen["metrics"] |= all(
            any(line.startswith(name) for line in text.splitlines()) for name in METRICS
        )

    try:
        until(seen, process, look)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=300)
    finally:
        process.kill()
    assert all(seen.values()), (seen, output)
    assert process.returncode == 130, output


def test_a_training_is_shown_as_a_train_run(head: Head, tmp_path: Path) -> None:
    config = write_config(tmp_path, models=("sit",), subsets=("random",), lean=True)
    values = yaml.safe_load(config.read_text()) | {"judge": None}
    values["models"]["sit"]["training"]["num_workers"] = 1
    values["selection"]["methods"] = ["random"]
    config.write_text(yaml.safe_dump(values))
    for verb in ("extract_features", "select_subset"):
        call(verb, ["--config", str(config)])
    process = start(head, "train", config)
    output, _ = process.communicate(timeout=900)
    assert process.returncode == 0, output
    runs = ask(head, "/api/train/v2/runs/v1")["train_runs"]
    assert any(run["status"] == "FINISHED" for run in runs), runs
