"""CPU time of small models trained at once, against one after another, on one thread.

`python -m benchmarks.ensembles [--quick]`. Ratios above 1 mean that at once takes less; a GPU has a
part of its own in `benchmarks.gpu_all`.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from benchmarks.harness import finish
from otcondense.diffusion import (
    ModelConfig,
    Pixels,
    TrainingConfig,
    TrainingSet,
    create_state,
    make_batch,
    train_step,
)
from otcondense.diffusion.ensemble import ensemble_of, ensemble_step
from otcondense.diffusion.ensemble_batches import ensemble_data, make_ensemble_batch

MODEL = ModelConfig(name="SiT-S/4", width=64, depth=4, num_heads=4)
"""0.33 M parameters; images of `SHAPE` are 16 tokens."""
SHAPE = (1, 16, 16)
CLASSES = 10
IMAGES = 400
SIZES = ((3, 32), (8, 32), (8, 64), (24, 32))
"""Models at once, and images in a step of each."""


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU time of a call, which other processes do not change much."""
    started = time.process_time()
    work()
    return time.process_time() - started


def ratio(models: int, batch: int, repeats: int) -> float:
    """Return the CPU time of a step of each model by itself, relative to a step of all at once."""
    configs = [
        TrainingConfig(model=MODEL, global_batch_size=batch, seed=seed, num_workers=1)
        for seed in range(models)
    ]
    pixels = torch.randint(0, 256, (IMAGES, *SHAPE), dtype=torch.uint8)
    data = TrainingSet(Pixels(pixels), torch.arange(IMAGES) % CLASSES)
    alone = create_state(configs[0], CLASSES, SHAPE)
    ensemble = ensemble_of([create_state(config, CLASSES, SHAPE) for config in configs])
    joined = ensemble_data(configs, [data] * models)

    def one_after_another() -> None:
        for _ in range(models):
            train_step(alone, make_batch(configs[0], alone.step, data))

    def at_once() -> None:
        ensemble_step(ensemble, make_ensemble_batch(joined, ensemble.step))

    sides = (one_after_another, at_once)
    for side in sides:
        side()
    times = [[cpu_seconds(side) for side in sides] for _ in range(repeats)]
    return statistics.median(before / after for before, after in times)


def main() -> None:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="in seconds; the figures are rough")
    repeats = 3 if parser.parse_args().quick else 9
    torch.set_num_threads(1)
    torch.manual_seed(0)
    figures = {}
    for models, batch in SIZES:
        name = f"cpu_ratio_{models}_models_batch_{batch}"
        figures[name] = ratio(models, batch, repeats)
        print(f"{name}: {figures[name]:.2f}", flush=True)
    if not finish("ensembles", figures, {name: {"at_least": 0.9} for name in figures}):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
