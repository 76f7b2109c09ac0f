"""Time and cost of a run on ImageNet-1K on a cluster, from measured rates and a stated model: `python -m benchmarks.cluster_forecast`.

What is measured on two CPU cores stands in `results/`: images decoded and classes selected a second. What takes GPUs is arithmetic
divided by a speed that you give, since no GPU's figure is here. Every stage is independent units of work, so that its time is
work / workers, and no unit is shorter than itself.
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
MEASURED_CORES = 2
IMAGES, CLASSES = 1_281_167, 1000
INCEPTION_GFLOP = 11.4
"""One image through Inception-v3 at 299 pixels (5.7 billion multiply-adds)."""
TRAIN_GFLOP = 484.0
"""One image through a training step of DiT-L/2 on 32 x 32 latents: three times its forward pass."""
STEPS, BATCH, SAMPLES, SAMPLE_STEPS = 100_000, 128, 50_000, 250
"""The paper's training and sampling; guidance doubles the passes."""


class ClusterConfig(Config):
    """What a cluster has and costs."""

    gpus: int = Field(default=8, ge=1)
    """GPUs."""
    cpus: int = Field(default=96, ge=1)
    """CPU cores."""
    tflops: float = Field(default=300.0, gt=0)
    """Speed that one GPU sustains in training and sampling in bfloat16, in TFLOP/s: assumed, not measured."""
    encoder_tflops: float = Field(default=15.0, gt=0)
    """The same for the encoder in float32."""
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
    """Yield what each stage takes for `per_class` chosen images of each class."""
    decoding = IMAGES / (
        measured("extraction", "decode_bound_here_images_per_s") / MEASURED_CORES * cluster.cpus
    )
    encoding = IMAGES * INCEPTION_GFLOP / (cluster.encoder_tflops * 1e3 * cluster.gpus)
    yield _on_gpus("features", max(decoding, encoding), cluster)
    seconds = measured("selection", f"seconds_k{per_class}") + measured(
        "selection", f"lower_bound_seconds_k{per_class}"
    )
    # Two cores were busy for so long; one alone takes about twice the time, and a class is never spread over more.
    longest = MEASURED_CORES * seconds
    hours = max(longest, longest * CLASSES / cluster.cpus) / 3600
    yield Stage("selection", hours, hours * cluster.cpus * cluster.cpu_price)
    yield _on_gpus(
        "training", STEPS * BATCH * TRAIN_GFLOP / (cluster.tflops * 1e3 * cluster.gpus), cluster
    )
    yield _on_gpus(
        "sampling",
        SAMPLES * SAMPLE_STEPS * 2 * TRAIN_GFLOP / 3 / (cluster.tflops * 1e3 * cluster.gpus),
        cluster,
    )


def _on_gpus(name: str, seconds: float, cluster: ClusterConfig) -> Stage:
    return Stage(name, seconds / 3600, seconds / 3600 * cluster.gpus * cluster.gpu_price)


def table(cluster: ClusterConfig) -> str:
    """Return the forecast for 10, 50 and 100 images of each class as a Markdown table."""
    lines = [
        "| subset | features | selection | training | sampling | all | cost |",
        "|---|---|---|---|---|---|---|",
    ]
    for per_class in (10, 50, 100):
        found = list(stages(cluster, per_class))
        hours = " | ".join(_time(stage.hours) for stage in found)
        total = sum(stage.hours for stage in found)
        lines.append(
            f"| {per_class}K | {hours} | {_time(total)} | {sum(stage.cost for stage in found):.0f} |"
        )
    return "\n".join(lines)


def _time(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 2 else f"{hours * 60:.0f} min"


def main() -> None:
    """Print the table and what it stands on."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cluster_forecast", description=__doc__
    )
    for name, field in ClusterConfig.model_fields.items():
        option, meaning = (
            f"--{name.replace('_', '-')}",
            f"{field.description} [{field.default}]".replace("%", "%%"),
        )
        parser.add_argument(option, type=type(field.default), default=field.default, help=meaning)
    cluster = ClusterConfig(**vars(parser.parse_args()))
    print(table(cluster))
    print(
        f"\n{cluster.gpus} GPUs at {cluster.tflops:g} TFLOP/s ({cluster.encoder_tflops:g} in the encoder), {cluster.cpus} CPU cores;"
    )
    print(
        f"{cluster.gpu_price:g} a GPU hour, {cluster.cpu_price:g} a core hour, each stage on its own nodes; DiT-L/2 at 256 pixels,"
    )
    print(
        f"{STEPS:,} steps of {BATCH} images, {SAMPLES:,} samples of {SAMPLE_STEPS} steps; images of 640 pixels for decoding"
    )


if __name__ == "__main__":
    main()
