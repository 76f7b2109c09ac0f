"""A driver that is interrupted or killed anywhere leaves a run that the same command finishes, with the same bytes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.ray.tiny import write_config
from tests.verbs import call

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.slow, pytest.mark.timeout(2400)]
STAGE_PATTERNS = {
    "extraction": "run/features/*/class_name=0/part-0.parquet",
    "selection": "run/selection/*/class_name=0/selection.parquet",
    "training": "run/training/sit-geometry*/checkpoints/*6/state.json",
    "sampling": "run/training/*/samples/*/part-00000.parquet",
}

# Ray takes over SIGTERM where it starts, Ray Train SIGINT.
SIGNALS = {
    "extraction": signal.SIGINT,
    "selection": signal.SIGTERM,
    "training": signal.SIGINT,
    "sampling": signal.SIGKILL,
}
WORKERS = ("extraction.num_encoders=1", "models.sit.training.num_workers=1")


def start(config: Path) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    # A shell lets its background jobs, these tests among them, ignore Ctrl-C; the run must not inherit that.
    command = [
        "env",
        "--default-signal=INT",
        sys.executable,
        "-m",
        "jobs.run",
        "--config",
        str(config),
        *WORKERS,
    ]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )


def results(root: Path) -> dict[str, bytes]:
    kept = [path for path in sorted((root / "run").rglob("*")) if path.is_file()]
    names = {str(path.relative_to(root / "run")): path for path in kept}
    return {
        name: path.read_bytes()
        for name, path in names.items()
        if not name.startswith(("logs/", ".lock", "report", "config"))
    }


def wait_for(root: Path, pattern: str, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 900
    while not list(root.glob(pattern)):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline, f"{pattern} did not appear"
        time.sleep(0.02)


def test_every_stage_can_be_interrupted(tmp_path: Path) -> None:
    config = write_config(tmp_path, models=("sit",), subsets=("geometry_aware",), lean=True)
    for stage, pattern in STAGE_PATTERNS.items():
        process = start(config)
        wait_for(tmp_path, pattern, process)
        process.send_signal(SIGNALS[stage])
        if SIGNALS[stage] == signal.SIGKILL:
            process.wait()
        else:
            output, _ = process.communicate(timeout=900)
            assert process.returncode == 130, f"{stage}: {output}"
            assert "the same command goes on from there" in output
            assert "Traceback" not in output
    last = start(config)
    output, _ = last.communicate(timeout=900)
    assert last.returncode == 0, output
    disturbed = results(tmp_path)

    (tmp_path / "run").rename(tmp_path / "disturbed")
    call("run", ["--config", str(config), *WORKERS])
    assert results(tmp_path) == disturbed
