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

from benchmarks.harness import finish
from benchmarks.reference_loop import PlainTraining, endless
from otcondense.diffusion import (
    ModelConfig,
    Pixels,
    TrainingConfig,
    TrainingSet,
    build_model,
    create_state,
    make_batch,
    train_step,
)
from otcondense.diffusion.registry import AUTO, resolve_objective
from otcondense.diffusion.training import TrainState

CLASSES = 10
IMAGES = 400
BATCH = 64


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


def our_steps(data: TrainingSet, config: TrainingConfig) -> Callable[[], object]:
    """Return one step of ours."""
    state = create_state(config, int(data.labels.max()) + 1, data.source.image_shape)
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
    if not finish("training", figures, bounds):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
