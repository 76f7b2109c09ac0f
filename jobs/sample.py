"""Sample images from every checkpoint with a pool of actors: `python -m jobs.sample`."""

from typing import Any

from actors.pool import Pool
from actors.sampler import SamplerActor
from jobs.cli import main
from jobs.progress import Bar, note
from jobs.ray_env import start_ray
from jobs.run_directory import Run
from otcondense.diffusion.checkpoint import checkpoint_directory, open_checkpoint
from otcondense.diffusion.samples import is_sampled, samples_fingerprint, sampling_units
from otcondense.errors import InputError


def sample(run: Run) -> None:
    """Sample from each checkpoint that the configuration keeps, one checkpoint after another."""
    for name, method, step in run.checkpoints():
        config = run.config.models[name].sampling
        checkpoint = checkpoint_directory(run.training_directory(name, method), step)
        directory = run.samples_directory(name, method, step)
        expected = samples_fingerprint(config, open_checkpoint(run.store, checkpoint).state)
        units = sampling_units(config)
        open_units = [unit for unit in units if not is_sampled(run.store, directory, unit, expected)]
        title = f"sample {name} on {method}, {step}"
        if open_units:
            _sample(run, (checkpoint, config.model_dump(mode="json"), directory), open_units, title)
        note(title, f"{config.num_samples} images, {len(units) - len(open_units)} of {len(units)} batches finished before")


def _sample(run: Run, arguments: tuple[Any, ...], units: list[dict[str, Any]], title: str) -> None:
    pool = run.config.samplers
    start_ray()

    def make_actor() -> Any:
        device = "cuda" if pool.num_gpus else "cpu"
        return SamplerActor.options(num_cpus=pool.num_cpus, num_gpus=pool.num_gpus).remote(run.store.root, *arguments, device)

    with Bar(title, "batch") as progress:
        outcome = Pool(make_actor, pool).run(units, on_done=progress.show)
    if outcome.failures:
        reasons = "\n".join(f"  {name}: {reason}" for name, reason in sorted(outcome.failures.items()))
        raise InputError(f"{len(outcome.failures)} of {len(units)} batches could not be sampled:\n{reasons}")


if __name__ == "__main__":
    main("sample", __doc__, sample)
