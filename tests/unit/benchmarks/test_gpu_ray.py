"""The run of all stages on a GPU is ready before there is one."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from benchmarks.gpu_all.cases import Case, Setting
from benchmarks.gpu_all.records import Recorder, flat_figures, read_lines
from benchmarks.gpu_ray import nvml
from benchmarks.gpu_ray.__main__ import GOALS
from benchmarks.gpu_ray.images import ImageSet, write_images
from benchmarks.gpu_ray.limit import run_cases
from benchmarks.gpu_ray.meter import Meter, usage, without_pauses
from benchmarks.gpu_ray.nvml import Reading
from benchmarks.gpu_ray.run_config import REAL, TINY, Size, run_config, write_networks
from benchmarks.gpu_ray.stages import MEASURED, figures_of
from otcondense.encoders import load_encoder

LACKING = ("diffusers", "transformers", "plotly", "fastapi", "uvicorn", "cachetools", "s3fs")
"""Packages that neither the bundle nor the machine has."""
LIBRARY = """
#include <stddef.h>
struct rates { unsigned gpu, memory; };
struct memory { unsigned long long total, free, used; };
static int device;
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **found) { *found = &device; return i != 0; }
int nvmlDeviceGetUtilizationRates(void *d, struct rates *r)
{ r->gpu = 87; r->memory = 12; return d != &device; }
int nvmlDeviceGetMemoryInfo(void *d, struct memory *m)
{ m->total = 8000000000; m->free = 3000000000; m->used = 5000000000; return d != &device; }
"""
"""The functions of NVIDIA's library, with the structures of its header."""


def setting(seconds: float = 60) -> Setting:
    return Setting("cpu", rehearse=True, deadline=time.monotonic() + seconds)


def test_usage_of_a_stage_with_a_start_and_an_end() -> None:
    shares = [0, 0, 0, 0.5, 0, 1, 0, 0]
    readings = [Reading(share, 1.0 + (place > 2)) for place, share in enumerate(shares)]
    found = usage(readings, seconds=14)
    assert found["gpu_busy_share"] == pytest.approx(1.5 / 7)
    assert found["gpu_working_seconds"] == pytest.approx(14 * 3 / 7)
    assert found["gpu_working_share"] == pytest.approx(0.5)
    assert (found["gpu_memory_gb"], found["used_gpu"]) == (1.0, 1)


@pytest.mark.parametrize(
    ("busy", "kept"),
    [
        ([0, 0.5, 0, 0, 1, 0], [0.5, 0, 0, 1]),
        ([0.5, 0, 0, 0, 1], [0.5, 1]),
        ([0, 0, 0, 0.2], [0.2]),
        ([0, 0], []),
        ([], []),
    ],
    ids=["short pause", "long pause", "start", "idle", "nothing"],
)
def test_long_pauses_are_left_out(busy: list[float], kept: list[float]) -> None:
    assert without_pauses(busy, longest=2) == kept


@pytest.mark.parametrize(
    "readings",
    [
        [Reading(0, 1)],
        [Reading(0, 1), Reading(0, 1)],
        [Reading(0, 1), Reading(0, 9)],
        [Reading(0, 1), Reading(1, 1.01)],
    ],
)
def test_a_gpu_without_work_or_without_memory_was_not_used(readings: list[Reading]) -> None:
    assert usage(readings, seconds=1)["used_gpu"] == 0


def test_memory_that_the_stage_before_still_holds_at_the_start_hides_nothing() -> None:
    readings = [Reading(0, 9), Reading(0, 1), Reading(1, 4)]
    assert usage(readings, seconds=1)["used_gpu"] == 1


def test_the_meter_reads_until_the_end_of_its_block() -> None:
    enough = threading.Event()
    count = 0

    def read() -> Reading:
        nonlocal count
        count += 1
        if count == 5:
            enough.set()
        return Reading(0.25, 2.0)

    with Meter(read, seconds_between=0.001) as meter:
        assert enough.wait(30)
    assert len(meter.readings) == count >= 5
    assert set(meter.readings) == {Reading(0.25, 2.0)}


def test_the_rate_while_the_gpu_works_leaves_out_start_and_end() -> None:
    found = figures_of(20, 100, "images", {"gpu_working_seconds": 4.0})
    assert (found["images_per_s"], found["images_per_working_s"]) == (5, 25)
    assert "images_per_working_s" not in figures_of(20, 100, "images", {"gpu_working_seconds": 0.0})


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_the_structures_of_the_library_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "nvml.c"
    source.write_text(LIBRARY)
    library = tmp_path / "libnvml.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    monkeypatch.setattr(nvml, "LIBRARY", str(library))
    assert nvml.find_reader()() == Reading(0.87, 5.0)


@pytest.mark.parametrize(("answer", "status"), [("42, 2048", 0), ("no device", 9)])
def test_without_the_library_the_program_is_read(
    answer: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{answer}'\nexit {status}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(nvml, "LIBRARY", "libmissing-nvml.so")
    if status:
        with pytest.raises(OSError, match="status 9: no device"):
            nvml.find_reader()
    else:
        assert nvml.find_reader()() == Reading(0.42, 2048 * 2**20 / 1e9)


def test_the_same_numbers_give_the_same_images(tmp_path: Path) -> None:
    images = ImageSet(classes=2, train=2, held_out=1, side=48)
    sizes = [write_images(images, tmp_path / name) for name in ("a", "b")]
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.jpg"))
    contents = [(tmp_path / "a" / name).read_bytes() for name in files]
    assert contents == [(tmp_path / "b" / name).read_bytes() for name in files]
    assert sizes == [sum(map(len, contents))] * 2
    assert len(set(contents)) == images.count("train") + images.count("held_out") == 6


@pytest.mark.parametrize("size", [REAL, TINY], ids=["real", "tiny"])
def test_on_a_gpu_no_stage_may_run_on_the_cpu(size: Size, tmp_path: Path) -> None:
    config = run_config(size, tmp_path, "cuda")
    training = config.models["dit"].training
    assert {network.device for network in config.networks} == {training.device} == {"cuda"}
    assert (config.samplers.num_actors, config.samplers.num_gpus) == (1, 1)
    assert training.num_workers == 1


@pytest.mark.slow
@pytest.mark.parametrize("size", [REAL, TINY], ids=["real", "tiny"])
def test_the_networks_have_random_weights_that_fit(size: Size, tmp_path: Path) -> None:
    config = run_config(size, tmp_path, "cpu")
    write_networks(config)
    for network in config.extracting:
        encoder = load_encoder(network)
        pixels = torch.zeros(1, *encoder.spec.shape, dtype=torch.uint8)
        assert bool(encoder.encode_inputs(pixels).features.isfinite().all())


def test_after_a_failed_stage_the_others_are_skipped(tmp_path: Path) -> None:
    def fails(_: Setting) -> dict[str, float]:
        raise MemoryError("no room for 80 GB")

    lines = tmp_path / "lines.jsonl"
    steps = [Case("a", 1, lambda _: {"seconds": 1.0}), Case("b", 1, fails), Case("c", 1, fails)]
    run_cases(steps, setting(), Recorder(lines, "stages"))
    figures = flat_figures(lines)
    assert figures["failed"] == {"stages/b": "MemoryError: no room for 80 GB"}
    assert figures["skipped"] == {"stages/c": "it needs b, which has no result"}
    assert figures["stages/a/seconds"] == 1.0


def test_a_stage_is_stopped_when_the_time_is_used_up(tmp_path: Path) -> None:
    def hangs(_: Setting) -> dict[str, float]:
        threading.Event().wait(60)
        return {}

    lines = tmp_path / "lines.jsonl"
    run_cases([Case("a", 1, hangs)], setting(seconds=0.05), Recorder(lines, "stages"))
    (line,) = read_lines(lines)
    assert line["failed"].startswith("OutOfTimeError: stopped")


def test_every_goal_is_of_a_measured_stage() -> None:
    on_gpu = {stage.name for stage in MEASURED if stage.on_gpu}
    assert {name.partition("/")[0] for name in GOALS} <= on_gpu


@pytest.mark.slow
def test_the_rehearsal_runs_every_stage_with_what_the_bundle_has(tmp_path: Path) -> None:
    lacking = tmp_path / "lacking"
    for name in LACKING:
        (lacking / name).mkdir(parents=True)
        message = f"raise ModuleNotFoundError('a bare machine has no {name}', name='{name}')\n"
        (lacking / name / "__init__.py").write_text(message)
    command = [sys.executable, "-m", "benchmarks.gpu_ray", "--rehearse", "--output", str(tmp_path)]
    path = os.pathsep.join([str(lacking), str(Path.cwd())])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    record = json.loads(result.stdout.splitlines()[-1])
    assert result.returncode == 0, record["figures"]
    measured = [line["case"] for line in read_lines(tmp_path / "gpu_ray.jsonl")]
    assert measured == ["ray_start", "inputs", *(stage.name for stage in MEASURED)]
    assert record["figures"]["stages/sampling/images"] == TINY.sampling["num_samples"]
