"""Sample images from every checkpoint with a pool of actors: `python -m jobs.sample`."""

from collections.abc import Iterator
from typing import Any

from actors.crew import RayCrew, Unit
from actors.pool import Pool, refuse_failures
from actors.sampler import SamplerActor
from jobs.cluster.start import start_ray
from jobs.command.progress import Progress, note
from jobs.run_directory.run import Run
from jobs.run_directory.stages import SAMPLE_BAR
from otcondense.diffusion.checkpoint import checkpoint_directory, open_checkpoint
from otcondense.diffusion.sampler import of_trained
from otcondense.diffusion.samples import is_sampled, samples_fingerprint, sampling_units
from otcondense.store import UnitProgress


def sample(run: Run) -> None:
    """Sample from each checkpoint that the configuration keeps."""
    units = [
        unit for name, method, step in run.checkpoints() for unit in _units(run, name, method, step)
    ]
    open_units = [
        unit
        for unit in units
        if not is_sampled(run.store, unit["directory"], unit["part"], unit["fingerprint"])
    ]
    if open_units:
        _sample(run, open_units)
    note(
        "sample",
        f"{len(run.checkpoints())} checkpoints, {len(units) - len(open_units)} of {len(units)} batches finished before",
    )


def _units(run: Run, name: str, method: str, step: int) -> Iterator[Unit]:
    checkpoint = checkpoint_directory(run.training_directory(name, method), step)
    state = open_checkpoint(run.store, checkpoint).state
    config = of_trained(
        run.config.models[name].sampling, run.chosen_classes(method), state["num_classes"]
    )
    shared = {
        "checkpoint": checkpoint,
        "config": config.model_dump(mode="json"),
        "directory": run.samples_directory(name, method, step),
        "fingerprint": samples_fingerprint(config, state),
    }
    if run.config.models[name].training.data == "latents":
        shared["autoencoder"] = run.config.latents.model_dump(mode="json")
    for part in sampling_units(config):
        yield {"name": f"{name} on {method}, step {step}, {part['name']}", "part": part, **shared}


def _sample(run: Run, units: list[Unit]) -> None:
    pool = run.config.samplers
    start_ray()

    def make_actor() -> Any:
        device = "cuda" if pool.num_gpus else "cpu"
        return SamplerActor.options(num_cpus=pool.num_cpus, num_gpus=pool.num_gpus).remote(
            run.store.root, device
        )

    with Progress(run.store, *SAMPLE_BAR) as progress:
        progress.follow([UnitProgress(name=unit["name"]) for unit in units])
        outcome = Pool(RayCrew(make_actor), pool).run(units, progress.change)
    refuse_failures(outcome, len(units), "batches of samples")
