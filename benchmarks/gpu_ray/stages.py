"""The stages as cases that are measured: each runs, is checked, and tells its rate."""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import ray

from benchmarks.gpu_all.cases import Case, Figures, Setting
from benchmarks.gpu_ray.images import write_images
from benchmarks.gpu_ray.meter import Meter, usage
from benchmarks.gpu_ray.nvml import Reading
from benchmarks.gpu_ray.run_config import METHOD, Size, write_networks
from jobs.cluster.start import start_ray
from jobs.run_directory.results import read_metrics
from jobs.run_directory.run import Run
from jobs.run_directory.stages import STAGES
from otcondense.diffusion.checkpoint_state import checkpoint_directory
from otcondense.diffusion.samples import iterate_samples
from otcondense.store import read_manifest

Read = Callable[[], Reading]
"""Returns the state of the GPU now."""


@dataclass(frozen=True)
class Measured:
    """A stage of the run that is measured."""

    name: str
    """Name in the records."""
    stage: str
    """Name in the table of stages."""
    seconds: float
    """Time it may take on an H100."""
    unit: str
    """What its rate counts."""
    count: Callable[[Run, Size], int]
    """Returns how many were done, read from the results."""
    on_gpu: bool = True
    has_judge: bool = True
    """Whether the configuration has a judge; without, only the encoder sees the images."""

    def configured(self, run: Run) -> Run:
        """Return the run with the configuration of this stage; the directory is the same."""
        return run if self.has_judge else Run(run.config.model_copy(update={"judge": None}))


def _encoded(run: Run, size: Size) -> int:
    expected = size.images.count("train")
    for network in run.config.extracting:
        folder = Path(run.store.path(run.features_directory(network)))
        files = folder.glob("class_name=*/part-*.parquet")
        count = sum(pq.read_metadata(file).num_rows for file in files)
        assert count == expected, f"{count} rows of features, expected {expected}"
    return expected


def _candidates(run: Run, size: Size) -> int:
    chosen = read_manifest(run.store, run.manifest(METHOD)).num_rows
    assert chosen == size.chosen, f"{chosen} images were chosen, expected {size.chosen}"
    return size.images.count("train")


def _steps(run: Run, _: Size) -> int:
    model, method, step = run.checkpoints()[-1]
    folder = checkpoint_directory(run.training_directory(model, method), step)
    assert run.store.exists(f"{folder}/state.json"), f"{folder} has no checkpoint"
    return step


def _sampled(run: Run, _: Size) -> int:
    model, method, step = run.checkpoints()[-1]
    wanted = run.config.models[model].sampling.num_samples
    directory = run.samples_directory(model, method, step)
    parts = [images for images, _ in iterate_samples(run.store, directory, wanted)]
    count = sum(map(len, parts))
    assert count == wanted, f"{count} samples, expected {wanted}"
    assert any(part.std() > 0 for part in parts), "all samples are one colour"
    return count


def _judged(run: Run, size: Size) -> int:
    (row,) = read_metrics(run)
    bad = [name for name, value in row.record.values.items() if not math.isfinite(value)]
    assert not bad, f"metrics that are not finite: {', '.join(bad)}"
    return row.record.num_samples + row.record.num_held_out + size.chosen


MEASURED = (
    Measured("extraction", "extract_features", 30, "images", _encoded, has_judge=False),
    Measured("extraction_judge", "extract_features", 30, "images", _encoded),
    Measured("selection", "select_subset", 20, "images", _candidates, on_gpu=False),
    Measured("training", "train", 40, "steps", _steps),
    Measured("sampling", "sample", 25, "images", _sampled),
    Measured("evaluation", "evaluate", 25, "images", _judged),
)
"""The stages of a run, in their order."""


def figures_of(seconds: float, count: int, unit: str, gpu: Figures) -> Figures:
    """Return the figures of a stage: its rate over all of it, and over the GPU's working time."""
    figures = {"seconds": seconds, unit: count, f"{unit}_per_s": count / seconds, **gpu}
    if working := gpu.get("gpu_working_seconds"):
        figures[f"{unit}_per_working_s"] = count / working
    return figures


def measured(run: Run, size: Size, stage: Measured, read: Read | None) -> Figures:
    """Run one stage and check its results.

    Args:
        run: the run.
        size: what was asked for.
        stage: the stage.
        read: reads the state of the GPU; None if there is none.

    Raises: what the stage raises; AssertionError if its results are not what was asked.
    """
    (entry,) = (each for each in STAGES if each.name == stage.stage)
    meter = None if read is None else Meter(read)
    started = time.perf_counter()
    with meter or nullcontext():
        entry.run(run)
    seconds = time.perf_counter() - started
    gpu = {} if meter is None else usage(meter.readings, seconds)
    return figures_of(seconds, stage.count(run, size), stage.unit, gpu)


def inputs(run: Run, size: Size, root: Path) -> Figures:
    """Write the images and the weights of the networks."""
    started = time.perf_counter()
    written = write_images(size.images, root)
    write_networks(run.config)
    count = size.images.count("train") + size.images.count("held_out")
    figures = figures_of(time.perf_counter() - started, count, "images", {})
    return figures | {"kilobytes_per_image": written / count / 1e3}


def ray_start(setting: Setting) -> Figures:
    """Start Ray as every command does; it must find the GPU by itself."""
    started = time.perf_counter()
    start_ray()
    seconds = time.perf_counter() - started
    found = ray.cluster_resources()  # type: ignore[no-untyped-call]
    gpus = int(found.get("GPU", 0))
    assert setting.device == "cpu" or gpus, f"Ray found no GPU: {found}"
    store_gb = found.get("object_store_memory", 0) / 1e9
    return {"seconds": seconds, "cpus": found["CPU"], "gpus": gpus, "object_store_gb": store_gb}


def cases(run: Run, size: Size, root: Path, read: Read | None) -> list[Case]:
    """Return everything to measure, in its order; each needs those before it.

    Args:
        run: the run.
        size: how large everything is.
        root: folder of the images and weights.
        read: reads the state of the GPU; None if there is none.
    """

    def case(stage: Measured) -> Case:
        own = stage.configured(run)
        return Case(stage.name, stage.seconds, lambda _: measured(own, size, stage, read))

    first = [
        Case("ray_start", 20, ray_start),
        Case("inputs", 30, lambda _: inputs(run, size, root)),
    ]
    return [*first, *map(case, MEASURED)]
