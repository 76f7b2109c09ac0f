"""Sample images from every checkpoint with a pool of actors."""

from collections.abc import Iterator

from actors.here import device_here, run_here
from actors.pool import Pool, refuse_failures
from actors.sampler import Sampler, SamplerActor, SampleUnit
from actors.workers import RayBackend
from jobs.cluster.sizing import PoolWork, sized_pool
from jobs.cluster.start import start_ray
from jobs.command.progress import Progress, note
from jobs.run_directory.bars import SAMPLE_BAR
from jobs.run_directory.run import Run
from otcondense.diffusion.checkpoint_files import sound_checkpoint
from otcondense.diffusion.checkpoint_state import checkpoint_directory
from otcondense.diffusion.sampler_config import of_trained
from otcondense.diffusion.samples import is_sampled, samples_fingerprint, sampling_units
from otcondense.store import UnitProgress

UNITS = "batches of samples"
"""What failed, in messages."""


def sample(run: Run) -> None:
    """Sample from each checkpoint that the configuration keeps."""
    checkpoints = run.checkpoints()
    units: list[SampleUnit] = []
    for name, method, step in checkpoints:
        units.extend(_units(run, name, method, step))

    missing = [unit for unit in units if not _is_finished(run, unit)]
    with Progress(run.store, *SAMPLE_BAR) as progress:
        if missing:
            _sample(run, missing, progress)
        else:
            progress.show(len(units), len(units))
    skipped = len(units) - len(missing)
    note(
        "sample",
        f"{len(checkpoints)} checkpoints, {skipped} of {len(units)} batches already finished",
    )


def _is_finished(run: Run, unit: SampleUnit) -> bool:
    return is_sampled(run.store, unit.directory, unit.part, unit.fingerprint)


def _units(run: Run, name: str, method: str, step: int) -> Iterator[SampleUnit]:
    """Yield the batches of one checkpoint."""
    model = run.config.models[name]
    checkpoint = checkpoint_directory(run.training_directory(name, method), step)
    state = sound_checkpoint(run.store, checkpoint).state
    config = of_trained(model.sampling, run.chosen_classes(method), state.num_classes)
    autoencoder = run.config.latents if model.training.data == "latents" else None
    for part in sampling_units(config):
        yield SampleUnit(
            name=f"{name} on {method}, step {step}, {part.name}",
            checkpoint=checkpoint,
            directory=run.samples_directory(name, method, step),
            part=part,
            config=config,
            fingerprint=samples_fingerprint(config, state),
            autoencoder=autoencoder,
        )


def _sample(run: Run, units: list[SampleUnit], progress: Progress) -> None:
    progress.follow([UnitProgress(name=unit.name) for unit in units])
    if run.config.samplers.num_actors == 0:
        worker = Sampler(run.store.root, device_here(run.config.samplers))
        refuse_failures(run_here(worker, units, progress.change), len(units), UNITS)
        return
    start_ray()
    work = PoolWork("sample", len(units), uses_gpu=True)
    pool = sized_pool(run.config.samplers, run.config.cluster, work)
    device = "cuda" if pool.num_gpus else "cpu"
    backend = RayBackend.of(SamplerActor, pool, run.store.root, device)
    outcome = Pool(backend, pool).run(units, progress.change)
    refuse_failures(outcome, len(units), UNITS)
