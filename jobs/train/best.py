"""The loss curve and the best checkpoint of a training, as files next to its checkpoints."""

from collections.abc import Mapping, Sequence

from otcondense.diffusion.checkpoint_files import list_checkpoints
from otcondense.diffusion.loss_lines import CURVE_FILE, LossLine, curve_text
from otcondense.diffusion.train_job import BEST_FILE, TrainJob
from otcondense.diffusion.training_config import TrainingConfig


def write_summaries(
    job: TrainJob, lines: Sequence[LossLine], held_out: Mapping[int, float] | None = None
) -> int | None:
    """Write the files of the loss curve and of the best checkpoint, unless they are up to date.

    Args:
        job: the training.
        lines: its loss curve so far.
        held_out: the loss on held-out images by step, for `keep_best=held_out_loss`.

    Returns: the step of the best checkpoint; None with `keep_best=none`.
    """
    store = job.store
    name = f"{job.directory}/{CURVE_FILE}"
    text = curve_text(lines)
    if not store.exists(name) or store.read_bytes(name) != text:
        store.write_bytes(name, text)
    if job.config.keep_best == "none":
        return None
    losses = _losses(job.config, lines)
    if job.config.keep_best == "held_out_loss":
        written = losses.keys() & list_checkpoints(store, job.directory)
        losses = {step: loss for step, loss in (held_out or {}).items() if step in written}
    if not losses:
        return None
    best = min(losses, key=lambda step: (losses[step], step))
    store.write_json(
        f"{job.directory}/{BEST_FILE}", {"step": best, job.config.keep_best: losses[best]}
    )
    return best


def checkpoint_steps(config: TrainingConfig, last: int) -> list[int]:
    """Return the steps up to `last` at which a training writes a checkpoint, in rising order."""
    kept = [step for step in config.kept_steps if step <= last]
    return sorted({*kept, *range(config.checkpoint_every, last + 1, config.checkpoint_every)})


def _losses(config: TrainingConfig, lines: Sequence[LossLine]) -> dict[int, float]:
    """Return the mean loss of the steps between each checkpoint and the checkpoint before it."""
    losses = {}
    before = 0
    for step in checkpoint_steps(config, lines[-1].step):
        losses[step] = _mean_between(lines, before, step)
        before = step
    return losses


def _mean_between(lines: Sequence[LossLine], first: int, last: int) -> float:
    """Return the mean loss of the steps after `first` up to `last`.

    Both have a line, or are the start.
    """
    total = 0.0
    before = 0
    for line in lines:
        if first < line.step <= last:
            total += line.loss * (line.step - before)
        before = line.step
    return total / (last - first)
