"""Sampling against a plain port of the reference loop, same model, sampler and steps, in the same run.

`python -m benchmarks.sampling [--quick]`
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.gpu import device_peak, synchronized
from benchmarks.harness import finish
from benchmarks.reference_loop import pngs_to_npz, save_pngs
from otcondense.diffusion import ModelConfig, SamplerConfig, Transformer, build_model, sample_batch
from otcondense.diffusion.forecast import forward_flops
from otcondense.diffusion.samples import iterate_samples, sampling_units, write_part
from otcondense.exports.samples import export_samples
from otcondense.store import Store
from otcondense.store.images import to_bytes

SAMPLES, BATCH, STEPS, SCALE = 200, 100, 20, 1.5
GPU_CASES = {
    "SiT-L/2_256": (32, 128),
    "DiT-B/2_256": (32, 256),
    "DiT-XL/2_256": (32, 96),
    "DiT-L/2_512": (64, 32),
}


def random_model(name: str, shape: tuple[int, int, int], classes: int) -> Transformer:
    """Return a model whose output is not 0."""
    model = (
        build_model(ModelConfig(name=name), classes, shape)
        .requires_grad_(requires_grad=False)
        .eval()
    )
    for parameter in model.parameters():
        parameter.add_(0.02 * torch.randn(parameter.shape))
    return model


@torch.no_grad()
def plain(model: Transformer, root: Path, count: int) -> None:
    """Sample with Euler steps, both halves of a batch guided in every step, save PNGs and pack them into an npz."""
    root.mkdir()
    for first in range(0, count, BATCH):
        size = min(BATCH, count - first)
        x, labels = (
            torch.randn(size, *model.image_shape),
            torch.randint(0, model.num_classes, (size,)),
        )
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
    """Compare images a second on the demo's model, one thread on each side, up to the npz; guidance everywhere, and in a part of the way."""
    torch.set_num_threads(1)
    model, count = random_model("SiT-demo/2", (1, 8, 8), 10), SAMPLES if quick else 5 * SAMPLES
    everywhere = SamplerConfig(
        method="euler", num_steps=STEPS, cfg_scale=SCALE, num_samples=count, batch_size=BATCH
    )
    interval = everywhere.model_copy(update={"guidance_interval": (0.3, 1.0)})
    sides = {
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


def gpu(*, quick: bool) -> dict[str, float]:
    """Return images a second at 250 steps with guidance, and the share of the measured matrix-product peak."""
    peak, figures = device_peak(), {}
    steps = 10
    for case, (side, batch) in list(GPU_CASES.items())[: 1 if quick else None]:
        name = case.split("_")[0]
        model = random_model(name, (4, side, side), 1000).cuda()
        for block in model.blocks:
            block.compile()
        method = "euler" if name.startswith("SiT") else "ddpm"
        config = SamplerConfig(
            method=method,
            num_steps=steps,
            cfg_scale=SCALE,
            guidance_channels=3,
            batch_size=batch,
            clip=False,
            precision="bfloat16",
        )
        objective, indices = ("sit-linear" if method == "euler" else "dit"), torch.arange(batch)
        rate = batch / synchronized(
            lambda model=model, objective=objective, indices=indices, config=config: sample_batch(
                model, objective, indices, config
            )
        )
        figures |= {
            f"{case}_peak_share": rate * 2 * steps * forward_flops(model) / peak,
            f"{case}_images_per_s_at_250_steps": rate * steps / 250,
        }
        print(
            f"{case:<14}{rate * steps / 250:>8.2f} images/s at 250 steps, {100 * figures[f'{case}_peak_share']:.0f} % of the peak"
        )
    return figures


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
    if torch.cuda.is_available():
        figures |= gpu(quick=quick)
        bounds["SiT-L/2_256_peak_share"] = {"at_least": 0.5}
    if not finish("sampling", figures, bounds):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
