"""Time and cost of a run on ImageNet-1K on a cluster: `python -m benchmarks.cluster_forecast`.

The rates of the CPU stages, images decoded and classes selected a second, were measured on two
cores and are in `results/`. The time of the GPU stages is their arithmetic divided by a speed that
you give. Every stage consists of independent units of work: its time is work / workers, and at
least the time of one unit.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from otcondense.config import Config

RESULTS = Path(__file__).parent / "results"
MACHINE = "intel-r-xeon-r-processor-2-cores"
"""Machine of the committed results."""
MEASURED_CORES = 2
IMAGES = 1_281_167
"""Training images of ImageNet-1K."""
CLASSES = 1000
GIGA_PER_TERA = 1e3
HOUR = 3600
"""Seconds in an hour."""
INCEPTION_GFLOP = 11.4
"""One image through Inception-v3 at 299 pixels (5.7 billion multiply-adds)."""
TRAIN_GFLOP = 484.0
"""One image through a training step of DiT-L/2 on 32 x 32 latents: three times its forward pass."""
SAMPLE_GFLOP = 2 * TRAIN_GFLOP / 3
"""One image through a sampling step with guidance: two forward passes."""
STEPS = 100_000
"""Training steps of the paper."""
BATCH = 128
SAMPLES = 50_000
SAMPLE_STEPS = 250
BUDGETS = (10, 50, 100)
"""Images of each class in the paper's subsets."""
SHORT_HOURS = 2
"""Shorter times are shown in minutes."""


class ClusterConfig(Config):
    """Hardware and prices of a cluster."""

    gpus: int = Field(default=8, ge=1)
    """GPUs."""
    cpus: int = Field(default=96, ge=1)
    """CPU cores."""
    tflops: float = Field(default=300.0, gt=0)
    """Speed that one GPU sustains in training and sampling in bfloat16, in TFLOP/s: assumed, not
    measured."""
    encoder_tflops: float = Field(default=15.0, gt=0)
    """Speed that one GPU sustains in the encoder in float32, in TFLOP/s: assumed, not measured."""
    gpu_price: float = Field(default=3.0, ge=0)
    """Price of a GPU with its share of the node, for an hour."""
    cpu_price: float = Field(default=0.04, ge=0)
    """Price of a CPU core for an hour, on nodes without GPUs."""


class Stage(NamedTuple):
    """One stage of a run."""

    name: str
    hours: float
    cost: float


def measured(benchmark: str, figure: str) -> float:
    """Return a figure of a benchmark on the machine whose results are committed."""
    record = json.loads((RESULTS / f"{benchmark}-{MACHINE}.json").read_text(encoding="utf-8"))
    return float(record["figures"][figure])


def stages(cluster: ClusterConfig, per_class: int) -> Iterator[Stage]:
    """Yield time and cost of each stage for `per_class` chosen images of each class."""
    core_rate = measured("extraction", "decode_bound_here_images_per_s") / MEASURED_CORES
    decoding = IMAGES / (core_rate * cluster.cpus)
    encoder_gflops = cluster.encoder_tflops * GIGA_PER_TERA * cluster.gpus
    encoding = IMAGES * INCEPTION_GFLOP / encoder_gflops
    yield _on_gpus("features", max(decoding, encoding), cluster)

    search = measured("selection", f"seconds_k{per_class}")
    bound = measured("selection", f"lower_bound_seconds_k{per_class}")
    # Two cores were busy. One alone takes about twice the time, and a class never uses more.
    longest = MEASURED_CORES * (search + bound)
    hours = max(longest, longest * CLASSES / cluster.cpus) / HOUR
    yield Stage("selection", hours, hours * cluster.cpus * cluster.cpu_price)

    gflops = cluster.tflops * GIGA_PER_TERA * cluster.gpus
    yield _on_gpus("training", STEPS * BATCH * TRAIN_GFLOP / gflops, cluster)
    yield _on_gpus("sampling", SAMPLES * SAMPLE_STEPS * SAMPLE_GFLOP / gflops, cluster)


def _on_gpus(name: str, seconds: float, cluster: ClusterConfig) -> Stage:
    hours = seconds / HOUR
    return Stage(name, hours, hours * cluster.gpus * cluster.gpu_price)


def table(cluster: ClusterConfig) -> str:
    """Return the forecast for 10, 50 and 100 images of each class as a Markdown table."""
    lines = [
        "| subset | features | selection | training | sampling | all | cost |",
        "|---|---|---|---|---|---|---|",
    ]
    for per_class in BUDGETS:
        found = list(stages(cluster, per_class))
        hours = " | ".join(_time(stage.hours) for stage in found)
        total = sum(stage.hours for stage in found)
        cost = sum(stage.cost for stage in found)
        lines.append(f"| {per_class}K | {hours} | {_time(total)} | {cost:.0f} |")
    return "\n".join(lines)


def _time(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= SHORT_HOURS else f"{hours * 60:.0f} min"


def main() -> None:
    """Print the table and its assumptions."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cluster_forecast", description=__doc__
    )
    for name, field in ClusterConfig.model_fields.items():
        option = f"--{name.replace('_', '-')}"
        meaning = f"{field.description} [{field.default}]".replace("%", "%%")
        parser.add_argument(option, type=type(field.default), default=field.default, help=meaning)
    cluster = ClusterConfig(**vars(parser.parse_args()))
    print(table(cluster))
    print(
        f"\n{cluster.gpus} GPUs at {cluster.tflops:g} TFLOP/s "
        f"({cluster.encoder_tflops:g} in the encoder), {cluster.cpus} CPU cores;\n"
        f"{cluster.gpu_price:g} a GPU hour, {cluster.cpu_price:g} a core hour, "
        "each stage on its own nodes; DiT-L/2 at 256 pixels,\n"
        f"{STEPS:,} steps of {BATCH} images, {SAMPLES:,} samples of {SAMPLE_STEPS} steps; "
        "images of 640 pixels for decoding"
    )


if __name__ == "__main__":
    main()
