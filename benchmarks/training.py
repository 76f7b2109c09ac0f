"""Training against a plain port of the reference loop, with the same model and batch.

`python -m benchmarks.training [--quick]`
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.gpu import device_peak, encoder_in_the_loop, synchronized
from benchmarks.harness import finish
from benchmarks.reference_loop import PlainTraining, endless
from otcondense.diffusion import (
    ModelConfig,
    Moments,
    Pixels,
    TrainingConfig,
    TrainingSet,
    build_model,
    create_state,
    make_batch,
    train_step,
)
from otcondense.diffusion.forecast import TRAINING_PASSES, forward_flops
from otcondense.diffusion.registry import AUTO, resolve_objective
from otcondense.diffusion.training import TrainState

CLASSES = 10
IMAGES = 400
BATCH = 64
LATENT_SCALE = 0.18215
"""Scaling factor of Stable Diffusion's autoencoder."""
IMAGENET_CLASSES = 1000
LATENT_SIDE_256 = 32
"""Side of the latents of images of 256 pixels; the plain loop is timed on these alone."""
PLAIN_BATCH = 64
"""Largest batch of the plain loop on a GPU."""
GPU_CASES = {
    "DiT-L/2_256": (32, 128),
    "SiT-L/2_256": (32, 128),
    "DiT-B/2_256": (32, 256),
    "DiT-XL/2_256": (32, 96),
    "DiT-L/2_512": (64, 32),
}
"""Side of the latents and images in a step."""
ABLATION = {
    "latents": {"precision": "float32", "compile_blocks": False},
    "bfloat16": {"precision": "bfloat16", "compile_blocks": False},
    "compiled": {"precision": "bfloat16", "compile_blocks": True},
}
"""The effect of each change, one after another.

First latents read from the device, with one call each for AdamW and the average; then bf16; then
compiled blocks.
"""


def write_images(root: Path) -> tuple[np.ndarray, np.ndarray]:
    """Write small grey images as the demo's, and return them with their classes."""
    rng = np.random.default_rng(0)
    labels = np.arange(IMAGES) % CLASSES
    images = rng.integers(0, 256, (IMAGES, 1, 8, 8), dtype=np.uint8)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = root / str(label) / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(path)
    return images, labels


def plain_steps(root: Path, name: str) -> Callable[[], object]:
    """Return one step of the plain loop on the demo's model."""
    config = ModelConfig(name=f"{name}-demo/2")
    training = PlainTraining(
        build_model(config, CLASSES, (1, 8, 8)),
        resolve_objective(AUTO, config),
        2e-3,
        0.995,
    )
    batches = endless(root, 8, BATCH)

    def step() -> object:
        return training.step(*next(batches))

    return step


def our_steps(
    data: TrainingSet, config: TrainingConfig, device: str = "cpu"
) -> Callable[[], object]:
    """Return one step of ours."""
    state = create_state(config, int(data.labels.max()) + 1, data.source.image_shape, device)
    return our_steps_of(state, data)


def our_steps_of(state: TrainState, data: TrainingSet) -> Callable[[], object]:
    """Return one step of a training."""
    return lambda: train_step(state, make_batch(state.config, state.step, data))


def seconds_per_step(step: Callable[[], object], steps: int) -> float:
    """Return the mean duration of a step."""
    started = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - started) / steps


def in_turn(
    sides: dict[str, Callable[[], object]], steps: int, repeats: int
) -> Iterator[tuple[str, float]]:
    """Yield the name and the median seconds of a step of each side.

    The sides take turns, since machines are shared.
    """
    for step in sides.values():
        seconds_per_step(step, 3)
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _, (name, step) in itertools.product(range(repeats), sides.items()):
        times[name].append(seconds_per_step(step, steps))
    yield from ((name, statistics.median(each)) for name, each in times.items())


def cpu(root: Path, *, quick: bool) -> dict[str, float]:
    """Compare steps a second on the demo's models, one thread on each side."""
    torch.set_num_threads(1)
    images, labels = write_images(root)
    data = TrainingSet(Pixels(torch.from_numpy(images)), torch.from_numpy(labels))
    figures: dict[str, float] = {}
    for name in ("SiT", "DiT"):
        config = TrainingConfig(
            model=ModelConfig(name=f"{name}-demo/2"),
            global_batch_size=BATCH,
            num_workers=1,
            flip=True,
        )
        sides = {"plain": plain_steps(root, name), "here": our_steps(data, config)}
        seconds = dict(in_turn(sides, 10 if quick else 25, 3 if quick else 7))
        figures |= {
            f"{name.lower()}_demo_{side}_steps_per_s": 1 / each for side, each in seconds.items()
        }
        figures[f"{name.lower()}_demo_ratio"] = seconds["plain"] / seconds["here"]
        ratio = seconds["plain"] / seconds["here"]
        print(
            f"{name}-demo/2 {1 / seconds['plain']:>8.1f} steps/s plain"
            f"{1 / seconds['here']:>8.1f} here, {ratio:.2f} times"
        )
    return figures


def gpu(*, quick: bool) -> dict[str, float]:
    """Return images a second, the share of the measured peak, and the effect of each change."""
    peak = device_peak()
    figures: dict[str, float] = {}
    print(f"bf16 matrix products reach {peak / 1e12:.0f} TFLOP/s")
    for case, (side, batch) in list(GPU_CASES.items())[: 1 if quick else None]:
        name = case.split("_")[0]
        model = build_model(ModelConfig(name=name), IMAGENET_CLASSES, (4, side, side))
        flops = TRAINING_PASSES * forward_flops(model)
        data = random_latents(side)
        rates = {step: _rate(data, name, batch, settings) for step, settings in ABLATION.items()}
        figures |= {f"{case}_{step}_images_per_s": rate for step, rate in rates.items()}
        share = rates["compiled"] * flops / peak
        figures[f"{case}_peak_share"] = share
        if side == LATENT_SIDE_256:
            plain = _plain_rate(name, min(batch, PLAIN_BATCH), side)
            figures |= {
                f"{case}_plain_images_per_s": plain,
                f"{case}_ratio": rates["compiled"] / plain,
            }
        print(f"{case:<14}{rates['compiled']:>8.0f} images/s, {100 * share:.0f} % of the peak")
    return {"peak_TFLOP_per_s": peak / 1e12, **figures}


def random_latents(side: int, images: int = 2048, device: str = "cuda") -> TrainingSet:
    """Return random moments on the device."""
    mean = torch.randn(images, 2, 4, side, side, device=device).half()
    labels = torch.randint(0, IMAGENET_CLASSES, (images,), device=device)
    labels[0] = IMAGENET_CLASSES - 1  # the number of classes is read from the largest label
    return TrainingSet(Moments(mean, mean.abs() / 10, LATENT_SCALE, 0.0), labels)


def _rate(data: TrainingSet, name: str, batch: int, settings: dict[str, object]) -> float:
    config = TrainingConfig.model_validate(
        {
            "model": {"name": name},
            "data": "latents",
            "global_batch_size": batch,
            "num_workers": 1,
            "flip": True,
            "learning_rate": 1e-4,
            **settings,
        }
    )
    return batch / synchronized(our_steps(data, config, "cuda"))


def _plain_rate(name: str, batch: int, side: int) -> float:
    """Return images a second of the plain loop, with the autoencoder's encoder in it."""
    torch.backends.cuda.matmul.allow_tf32 = True
    config = ModelConfig(name=name)
    model = build_model(config, IMAGENET_CLASSES, (4, side, side)).cuda()
    training = PlainTraining(model, resolve_objective(AUTO, config), 1e-4, 0.9999)
    encode = encoder_in_the_loop(8 * side)
    labels = torch.randint(0, IMAGENET_CLASSES, (batch,), device="cuda")
    return batch / synchronized(lambda: training.step(encode(batch), labels))


def main() -> None:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="under a minute; the figures are rough"
    )
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        figures = cpu(Path(folder), quick=quick)
    bounds = {f"{name}_demo_ratio": {"at_least": 1.5} for name in ("sit", "dit")}
    if torch.cuda.is_available():
        figures |= gpu(quick=quick)
        for case in (case for case in ("DiT-L/2_256", "SiT-L/2_256") if f"{case}_ratio" in figures):
            bounds |= {f"{case}_peak_share": {"at_least": 0.45}, f"{case}_ratio": {"at_least": 2.5}}
    if not finish("training", figures, bounds):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
