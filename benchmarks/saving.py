"""How long training stands still for a checkpoint, against a save that it waits for.

`python -m benchmarks.saving [--quick]`
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable

import torch

from benchmarks.gpu_all.training import IMAGENET_CLASSES, random_latents
from benchmarks.harness import finish
from benchmarks.training import our_steps_of
from otcondense.diffusion import ModelConfig, TrainingConfig, create_state
from otcondense.diffusion.background_save import BackgroundSave
from otcondense.diffusion.checkpoint import save_checkpoint, saved_tensors
from otcondense.diffusion.training import TrainState
from otcondense.store import Store

SIDE = 8
"""Side of the latents: steps are short, so that saving is not."""
GPU_MODEL, CPU_MODEL, QUICK_MODEL = "DiT-L/2", "DiT-S/2", "DiT-demo/2"
"""Checkpoints of 7.3 GB, 0.5 GB and a few megabytes."""
BATCH = 4


def make_state(name: str, device: str) -> tuple[TrainState, Callable[[], object]]:
    """Return a training of random latents, and its step."""
    data = random_latents(SIDE, 64, device)
    config = TrainingConfig(
        model=ModelConfig(name=name), data="latents", global_batch_size=BATCH, num_workers=1
    )
    state = create_state(config, IMAGENET_CLASSES, data.source.image_shape, device)
    return state, our_steps_of(state, data)


def seconds(work: Callable[[], object], device: str) -> float:
    """Return the duration of some work, without what the device still had to do before."""
    if device == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def measure(name: str, device: str, repeats: int) -> dict[str, float]:
    """Save in the foreground and in the background, in turn, with a step after each."""
    state, step = make_state(name, device)
    step()
    times: dict[str, list[float]] = {
        key: [] for key in ("blocking", "stall", "step", "step_while_saving")
    }
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        background = BackgroundSave(store, "run", "f")
        background.prepare(state)
        for number in range(repeats + 1):
            found = _one_round(state, step, background, store, device)
            for key, value in found.items():
                if number:  # the first round makes the files and touches the memory
                    times[key].append(value)
        background.close()
    size = sum(
        tensor.nbytes for tensors in saved_tensors(state).values() for tensor in tensors.values()
    )
    medians = {key: statistics.median(values) for key, values in times.items()}
    return {
        "checkpoint_mb": size / 1e6,
        **{f"{key}_s": value for key, value in medians.items()},
        "stall_share": medians["stall"] / medians["blocking"],
        "step_ratio": medians["step_while_saving"] / medians["step"],
    }


def _one_round(
    state: TrainState,
    step: Callable[[], object],
    background: BackgroundSave,
    store: Store,
    device: str,
) -> dict[str, float]:
    def block() -> None:
        save_checkpoint(store, "run", state, fingerprint="f")

    def start() -> None:
        background.start(state, ((), None), lambda: None)

    state.step = 1  # the same files in each round
    found = {"blocking": seconds(block, device), "step": seconds(step, device)}
    state.step = 1
    found["stall"] = seconds(start, device)
    found["step_while_saving"] = seconds(step, device)
    background.wait()
    return found


def main() -> None:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="seconds; the figures are rough")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = QUICK_MODEL if quick else GPU_MODEL if device == "cuda" else CPU_MODEL
    figures = measure(name, device, 3 if quick else 5)
    print(
        f"{figures['checkpoint_mb']:.0f} MB: training waits {figures['blocking_s']:.2f} s for a "
        f"save, {figures['stall_s']:.3f} s in the background "
        f"({100 * figures['stall_share']:.0f} %)"
    )
    bounds: dict[str, dict[str, float]] = {"stall_share": {"at_most": 0.25}}
    if device == "cuda":
        bounds["stall_s"] = {"at_most": 1.0}
    if not finish("saving", figures, {} if quick else bounds):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
