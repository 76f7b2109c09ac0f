"""Train a DiT or SiT on the subset of a run with plain DistributedDataParallel, without Ray.

    torchrun --nproc-per-node 2 examples/torchrun_dit.py runs/photos --model sit

The run needs its subset (`otcondense select_subset RUN`), and what the model reads: latents, tokens
or text. The model and its training are those in the configuration of the run. The checkpoints lie
where `otcondense train` puts them, with the same bytes, so that `otcondense sample` and `evaluate`
go on from here. Interrupted, the same command resumes from the newest checkpoint.
"""

import argparse
import json
import os
from contextlib import nullcontext
from dataclasses import replace

import torch

from otcondense.diffusion import (
    LossLine,
    TrainingConfig,
    TrainJob,
    TrainState,
    Workers,
    create_state,
    latest_checkpoint,
    learning_rate,
    make_batch,
    restore_state,
    save_checkpoint,
    train_step,
)
from otcondense.diffusion.checkpoint_files import list_checkpoints, remove_checkpoint
from otcondense.diffusion.exchange import gather_texts
from otcondense.diffusion.loss_lines import CURVE_FILE, curve_text
from otcondense.store import DriverLock
from otcondense.threads import one_thread_on
from otcondense.training_data import prepare_training


def main() -> None:
    """Be one of the workers that torchrun starts, or the only one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="run directory")
    parser.add_argument("--model", required=True, help="model in the configuration of the run")
    parser.add_argument("--method", default="geometry_aware", help="subset to train on")
    options = parser.parse_args()

    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    device = "cpu"
    if torch.cuda.is_available():
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    if size > 1:
        torch.distributed.init_process_group("gloo" if device == "cpu" else "nccl")
    workers = Workers(rank, size, device)
    job = shared_job(options, workers)
    # Sums on a CPU depend on the number of threads; no other command may work on the run meanwhile.
    with one_thread_on(device), DriverLock(job.store) if rank == 0 else nullcontext():
        train(job, workers)
    if size > 1:
        torch.distributed.destroy_process_group()


def shared_job(options: argparse.Namespace, workers: Workers) -> TrainJob:
    """Return the job, which the first worker prepares for all."""
    text = ""
    if workers.rank == 0:
        job = prepare_training(options.run, options.model, options.method)
        text = json.dumps(job.settings())
    if workers.world_size > 1:
        text = gather_texts(text, workers.device)[0]
    job = TrainJob.from_settings(json.loads(text))
    settings = {**job.config.model_dump(mode="json"), "num_workers": workers.world_size}
    return replace(job, config=TrainingConfig(**settings))


def train(job: TrainJob, workers: Workers) -> None:
    """Train from the newest checkpoint to the last one that is missing."""
    config, missing = job.config, job.missing_steps()
    if not missing:
        return
    state, lines = resumed(job, workers, missing[0])
    workers.wrap(state)  # in DistributedDataParallel, if there are several
    data = job.load_data(workers.device)

    parts = workers.world_size * config.accumulation
    own = range(workers.rank * config.accumulation, (workers.rank + 1) * config.accumulation)
    names = ["loss"] if config.alignment is None else ["loss", "alignment"]
    total, since = torch.zeros(len(names), device=workers.device), state.step
    while state.step < missing[-1]:
        batch = [make_batch(config, state.step, data, (part, parts)) for part in own]
        metrics = train_step(state, *batch)
        total += torch.stack([metrics[name] for name in names])
        saves = state.step in config.kept_steps or state.step % config.checkpoint_every == 0
        if saves or state.step % config.log_every == 0:
            loss, *rest = (value / (state.step - since) for value in workers.mean(total))
            lines.append(LossLine(state.step, loss, learning_rate(config, state.step - 1), *rest))
            total, since = torch.zeros_like(total), state.step
            if workers.rank == 0:
                print(f"step {state.step}: loss {loss:.4f}", flush=True)
        if saves and workers.rank == 0:
            save(job, state, lines)


def resumed(job: TrainJob, workers: Workers, before: int) -> tuple[TrainState, list[LossLine]]:
    """Return the training as of its newest checkpoint, or as it begins, and its loss curve."""
    parts = job.attachments()
    state = create_state(job.config, job.num_classes, job.image_shape, workers.device, parts)
    newest = latest_checkpoint(job.store, job.directory, before=before)
    if newest is None:
        return state, []
    restore_state(job.store, newest, state, fingerprint=job.fingerprint)
    return state, list(newest.state.curve or ())


def save(job: TrainJob, state: TrainState, lines: list[LossLine]) -> None:
    """Write the checkpoint of this step, and delete the one that it replaces."""
    store, directory = job.store, job.directory
    save_checkpoint(store, directory, state, fingerprint=job.fingerprint, curve=lines)
    store.write_bytes(f"{directory}/{CURVE_FILE}", curve_text(lines))
    for step in list_checkpoints(store, directory):
        if step < state.step and step not in job.config.kept_steps:
            remove_checkpoint(store, directory, step)


if __name__ == "__main__":
    main()
