"""Sample images from every checkpoint with a pool of actors."""

from collections.abc import Iterator

from actors.here import device_here, run_here
from actors.pool import Pool, refuse_failures
from actors.sampler import Sampler, SamplerActor, SampleUnit
from actors.workers import RayBackend
from jobs.cluster.sizing import PoolWork, sized_pool
from jobs.cluster.start import start_ray
from jobs.command.progress import Progress, note
from jobs.command.wording import earlier_part
from jobs.representations.prompts import embed_prompts, prompts_of
from jobs.run_directory.bars import SAMPLE_BAR
from jobs.run_directory.run import Run
from otcondense.counts import counted
from otcondense.diffusion.checkpoint_files import sound_checkpoint
from otcondense.diffusion.checkpoint_state import Checkpoint, checkpoint_directory
from otcondense.diffusion.sampler_config import SamplerConfig, of_trained
from otcondense.diffusion.samples import is_sampled, samples_fingerprint, sampling_units
from otcondense.errors import InputError
from otcondense.store import UnitProgress

UNITS = "batches of samples"
"""What failed, in messages."""


def sample(run: Run) -> None:
    """Sample from each checkpoint that the configuration keeps."""
    checkpoints = run.checkpoints()
    units: list[SampleUnit] = []
    for name, method in dict.fromkeys((name, method) for name, method, _ in checkpoints):
        _note_unused_prompts(run, name, method)
    for name, method, step in checkpoints:
        units.extend(sampling_units_of(run, name, method, step))

    missing = [unit for unit in units if not _is_finished(run, unit)]
    with Progress(run.store, *SAMPLE_BAR) as progress:
        if missing:
            _sample(run, missing, progress)
        else:
            progress.show(len(units), len(units))
    skipped = len(units) - len(missing)
    note(
        "sample",
        f"{counted(len(checkpoints), 'checkpoint')}, {counted(len(units), 'batch')}"
        f"{earlier_part(skipped, len(units), 'batch')}",
    )


def _note_unused_prompts(run: Run, name: str, method: str) -> None:
    """Say how many prompts of a file have no image, and what to set."""
    sampling = run.config.models[name].sampling
    if sampling.prompts is None:
        return
    count = len(prompts_of(run, name, method))
    used = sampling.used_prompts(count)
    if used < count:
        wanted = count * sampling.samples_per_prompt
        note(
            "sample",
            f"the first {used} of {counted(count, 'prompt')} in {sampling.prompts} have images; "
            f"set models.{name}.sampling.num_samples={wanted} for all",
        )


def _is_finished(run: Run, unit: SampleUnit) -> bool:
    return is_sampled(run.store, unit.directory, unit.part, unit.fingerprint)


def sampling_units_of(run: Run, name: str, method: str, step: int) -> Iterator[SampleUnit]:
    """Yield the batches of one checkpoint; its prompts are embedded before.

    Raises: InputError if the checkpoint, or the weak one of autoguidance, is missing or damaged, or
        the prompts cannot be used.
    """
    model = run.config.models[name]
    checkpoint = checkpoint_directory(run.training_directory(name, method), step)
    state = sound_checkpoint(run.store, checkpoint).state
    sampling = model.sampling.at_step(step)
    config = of_trained(sampling, run.chosen_classes(method), state.num_classes)
    weak = _weak_checkpoint(run, name, method, config)
    weak_state = None if weak is None else weak.state
    has_captions = model.training.has_captions
    prompts = embed_prompts(run, name, method) if has_captions else ""
    autoencoder = run.config.latents if model.training.data == "latents" else None
    for part in sampling_units(config):
        yield SampleUnit(
            name=f"{name} on {method}, step {step}, {part.name}",
            checkpoint=checkpoint,
            directory=run.samples_directory(name, method, step),
            part=part,
            config=config,
            fingerprint=samples_fingerprint(config, state, weak_state, prompts),
            autoencoder=autoencoder,
            weak=None if weak is None else weak.directory,
            prompts=run.prompts_file(name, method) if has_captions else None,
        )


def _weak_checkpoint(run: Run, name: str, method: str, config: SamplerConfig) -> Checkpoint | None:
    """Return the weak checkpoint of autoguidance, None without it.

    Raises: InputError if it is missing or damaged.
    """
    if config.autoguidance is None:
        return None
    step = config.autoguidance.checkpoint_step
    place = checkpoint_directory(run.training_directory(name, method), step)
    try:
        return sound_checkpoint(run.store, place)
    except InputError as error:
        raise InputError(
            f"autoguidance of models.{name} needs the checkpoint of step {step} of its training on "
            f"{method}, found none that is whole ({error}); run `otcondense train` again, or "
            "leave models.NAME.sampling.autoguidance out"
        ) from error


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
