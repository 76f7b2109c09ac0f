"""Sampling against a plain port of the reference loop, with the same model, sampler and steps.

`python -m benchmarks.sampling [--quick]`
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.harness import finish
from benchmarks.reference_loop import pngs_to_npz, save_pngs
from otcondense.diffusion import ModelConfig, SamplerConfig, Transformer, build_model, sample_batch
from otcondense.diffusion.samples import iterate_samples, sampling_units, write_part
from otcondense.exports.samples import export_samples
from otcondense.store import Store
from otcondense.store.images import to_bytes

SAMPLES = 200
"""Images of a quick run; a full run samples five times as many."""
BATCH = 100
STEPS = 20
SCALE = 1.5
"""Strength of guidance."""
WEIGHT_STD = 0.02


def random_model(
    config: ModelConfig, shape: tuple[int, int, int], classes: int, device: str = "cpu"
) -> Transformer:
    """Return a model whose output is not 0."""
    model = build_model(config, classes, shape).requires_grad_(requires_grad=False).eval()
    model.to(device)
    for parameter in model.parameters():
        parameter.add_(WEIGHT_STD * torch.randn_like(parameter))
    return model


@torch.no_grad()
def plain(model: Transformer, root: Path, count: int) -> None:
    """Sample with guided Euler steps, save PNGs and pack them into an npz."""
    root.mkdir()
    for first in range(0, count, BATCH):
        size = min(BATCH, count - first)
        x = torch.randn(size, *model.image_shape)
        labels = torch.randint(0, model.num_classes, (size,))
        both = torch.cat([labels, torch.full_like(labels, model.num_classes)])
        for step in range(STEPS):
            t = torch.full((2 * size,), step / STEPS)
            of_class, of_null = model(torch.cat([x, x]), t, both)[:, : x.shape[1]].chunk(2)
            x = x + (of_null + SCALE * (of_class - of_null)) / STEPS
        save_pngs(to_bytes(x).numpy(), root, first)
    pngs_to_npz(root, root / "samples.npz")


def here(model: Transformer, root: Path, config: SamplerConfig) -> None:
    """Sample as the actors do, one part for each batch, and write the npz from the parts."""
    store = Store(str(root))
    for part in sampling_units(config):
        indices = torch.arange(part.first, part.first + part.count)
        images, labels = sample_batch(model, "sit-linear", indices, config)
        write_part(store, "samples", part, (images.numpy(), labels.numpy()), "benchmark")
    export_samples(
        iterate_samples(store, "samples", config.num_samples),
        "npz",
        str(root / "samples.npz"),
        config.num_samples,
    )


def cpu(root: Path, *, quick: bool) -> dict[str, float]:
    """Compare images a second on the demo's model, up to the npz, with one thread on each side.

    Guidance is on everywhere, or on a part of the way.
    """
    torch.set_num_threads(1)
    model = random_model(ModelConfig(name="SiT-demo/2"), (1, 8, 8), 10)
    count = SAMPLES if quick else 5 * SAMPLES
    everywhere = SamplerConfig(
        method="euler", num_steps=STEPS, cfg_scale=SCALE, num_samples=count, batch_size=BATCH
    )
    interval = everywhere.model_copy(update={"guidance_interval": (0.3, 1.0)})
    sides: dict[str, Callable[[Path], None]] = {
        "plain": lambda at: plain(model, at, count),
        "here": lambda at: here(model, at, everywhere),
        "interval": lambda at: here(model, at, interval),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(2 if quick else 5):
        for name, side in sides.items():
            started = time.perf_counter()
            side(root / f"{name}-{repeat}")
            times[name].append(time.perf_counter() - started)
    seconds = {name: statistics.median(each) for name, each in times.items()}
    for name, each in seconds.items():
        print(f"{name:<10}{count / each:>8.0f} images/s")
    figures = {f"demo_{name}_images_per_s": count / each for name, each in seconds.items()}
    return figures | {
        "demo_ratio": seconds["plain"] / seconds["here"],
        "demo_interval_ratio": seconds["plain"] / seconds["interval"],
    }


def main() -> None:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="under a minute; the figures are rough"
    )
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        figures = cpu(Path(folder), quick=quick)
    bounds = {"demo_ratio": {"at_least": 1.0}, "demo_interval_ratio": {"at_least": 1.1}}
    if not finish("sampling", figures, bounds):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
