"""`python -m benchmarks.gpu_ray [--seconds 300] [--rehearse] [--output FOLDER]`.

Runs the stages of a run as a user does, on made-up images: extraction on a GPU actor, selection,
Ray Train on the GPU, sampling on a GPU actor, evaluation. Every stage is a line of
`FOLDER/gpu_ray.jsonl` as soon as it is done. Needs what `benchmarks.gpu_all` needs, and the wheels
of `make gpu-bundle`; no network. `--rehearse` runs all of it tiny on the CPU.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import ray

from benchmarks.gpu_all.cases import Setting
from benchmarks.gpu_all.records import Recorder, flat_figures
from benchmarks.gpu_ray.limit import run_cases
from benchmarks.gpu_ray.nvml import Reading, find_reader
from benchmarks.gpu_ray.run_config import REAL, TINY, run_config
from benchmarks.gpu_ray.stages import MEASURED, cases
from benchmarks.harness import finish
from jobs.run_directory.run import Run

LINES = "gpu_ray.jsonl"
PART = "stages"
"""First part of the names of all figures."""
GOALS = {
    "extraction/gpu_working_share": {"at_least": 0.6},
    "training/gpu_working_share": {"at_least": 0.8},
    "sampling/gpu_working_share": {"at_least": 0.8},
}
"""Bounds on figures; they are judged where the figure was measured."""


def arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=300, help="time for all stages")
    parser.add_argument("--rehearse", action="store_true", help="everything tiny, on the CPU")
    parser.add_argument("--output", type=Path, default=Path("build/gpu_ray"), help="folder")
    return parser.parse_args()


def reader(recorder: Recorder) -> Callable[[], Reading] | None:
    """Return a function that reads the state of the GPU; a failed case if it cannot be read."""
    try:
        return find_reader()
    except OSError as error:
        recorder.failed("gpu_reader", error)
        return None


def bounds(figures: dict[str, object]) -> dict[str, dict[str, float]]:
    """Return the bounds of the figures that there are."""
    wanted: dict[str, dict[str, float]] = {}
    for stage in MEASURED:
        if stage.on_gpu:
            wanted[f"{stage.name}/used_gpu"] = {"at_least": 1}
    named = {f"{PART}/{name}": bound for name, bound in {**wanted, **GOALS}.items()}
    kept = {name: bound for name, bound in named.items() if name in figures}
    return kept | {"failed_cases": {"at_most": 0}, "skipped_cases": {"at_most": 0}}


def main() -> None:
    """Measure, print and judge."""
    options = arguments()
    options.output.mkdir(parents=True, exist_ok=True)
    lines = options.output / LINES
    lines.unlink(missing_ok=True)
    device = "cpu" if options.rehearse else "cuda"
    setting = Setting(device, options.rehearse, time.monotonic() + options.seconds)
    size = TINY if options.rehearse else REAL
    recorder = Recorder(lines, PART)
    read = None if options.rehearse else reader(recorder)
    with tempfile.TemporaryDirectory(prefix="gpu_ray-", ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        run = Run(run_config(size, root, device))
        try:
            run_cases(cases(run, size, root, read), setting, recorder)
        finally:
            ray.shutdown()
    figures = flat_figures(lines)
    for outcome in ("failed", "skipped"):
        print(f"{outcome}: {json.dumps(figures.get(outcome, {}), indent=1)}")
    sys.stdout.flush()
    is_good = finish("gpu_ray", figures, bounds(figures))
    sys.stdout.flush()
    os._exit(0 if is_good else 1)  # a stage that was cut off may have left threads


if __name__ == "__main__":
    main()
