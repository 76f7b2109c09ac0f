"""Train and sample the models of a sweep's trials at once, before the trials are run.

Here, and nowhere else, it is decided which trials that is. A trial then finds its subset, its
checkpoints and its samples finished, and has only to evaluate them. A trial that is left out, or
whose ensemble fails, does everything by itself as without ensembles.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from actors.pool import Pool
from actors.pool_config import PoolConfig
from actors.workers import RayBackend
from jobs.cluster.sizing import PoolWork, sized_pool
from jobs.command.progress import Progress, note
from jobs.run_directory.listing import run_listing
from jobs.run_directory.model_config import ModelConfigs
from jobs.train.placement import uses_gpu
from jobs.train.prepare import training_job, write_training_images
from jobs.trials.ensemble_worker import EnsembleActor, EnsembleUnit, Member, Sampling
from jobs.trials.selecting import select_trials
from jobs.trials.trial import Sweep, Trial
from otcondense.diffusion.ensemble import same_but_for_seed
from otcondense.diffusion.sampler_config import of_trained
from otcondense.diffusion.train_job import TrainJob
from otcondense.diffusion.training_config import TrainingConfig
from otcondense.errors import InputError
from otcondense.store import UnitProgress
from pipeline.room import known_gpus

NO_ACTORS = {"num_actors": 0, "num_gpus": 0.0}
"""A pool that takes nothing from the cluster."""


def train_ensembles(sweep: Sweep, trials: Sequence[Trial]) -> list[Trial]:
    """Select, train and sample the trials that can do it at once; Ray must be running.

    Returns: the trials whose models are trained and sampled now.

    Raises: InputError if the sweep asks for ensembles that its trials cannot have.
    """
    gpus = known_gpus(sweep.base.cluster)
    if not at_once(sweep, gpus):
        return []
    fitting = [trial for trial in trials if obstacle(_model(trial)) is None]
    members = {trial.key: _member(trial) for trial in select_trials(fitting)}
    on_gpu = uses_gpu(_trained(sweep), gpus)
    every = list(members.values())
    units = list(ensemble_units(every, sweep.config.ensemble_size, gpus if on_gpu else 1))
    if units:
        _run(sweep, units, on_gpu=on_gpu)
    done = {key for key, member in members.items() if member.is_finished}
    return [trial for trial in fitting if trial.key in done]


def evaluating(sweep: Sweep) -> Sweep:
    """Return the sweep with trials that have nothing left to do but to evaluate.

    They reserve neither samplers nor a device to train on, so that more of them run side by side.
    """
    base = sweep.base
    name = sweep.config.trained_model(base)
    model = base.models[name]
    training = model.training.model_copy(update={"num_workers": 0, "device": "cpu"})
    changes = {
        "samplers": base.samplers.model_copy(update=NO_ACTORS),
        "selection": base.selection.model_copy(
            update={"pool": base.selection.pool.model_copy(update=NO_ACTORS)}
        ),
        "models": {**base.models, name: model.model_copy(update={"training": training})},
    }
    return replace(sweep, base=base.model_copy(update=changes))


def at_once(sweep: Sweep, gpus: int) -> bool:
    """Return whether models of several trials are trained at once.

    Args:
        sweep: the sweep; without `ensemble_size` it is done on GPUs only.
        gpus: GPUs that the cluster has or can have.

    Raises: InputError if `ensemble_size` asks for it and no trial can.
    """
    size = sweep.config.ensemble_size
    if size == 1:
        return False
    reason = _obstacle_of_all(sweep)
    if reason is None:
        return size is not None or uses_gpu(_trained(sweep), gpus)
    if size is None:
        return False
    raise InputError(f"ensemble_size={size} cannot be used: {reason}; leave it out or set it to 1")


def _obstacle_of_all(sweep: Sweep) -> str | None:
    """Return why no trial of the sweep can be in an ensemble; None if some can."""
    config = sweep.config
    if config.kind == "subset":
        return "trials of kind=subset train no model"
    if config.stop_early:
        return "trials with stop_early=true are trained from one checkpoint to the next"
    if config.search == "optuna":
        return "search=optuna proposes its trials one after another"
    return obstacle(sweep.base.models[config.trained_model(sweep.base)])


def obstacle(model: ModelConfigs) -> str | None:
    """Return why a model cannot be trained and sampled at once with others; None if it can."""
    training = model.training
    if training.weighting != "uniform":
        return f"training.weighting={training.weighting} weighs the images of one subset"
    if training.keep_best != "none":
        return f"training.keep_best={training.keep_best} follows one model"
    if model.sampling.autoguidance is not None:
        return "sampling.autoguidance needs a second model for each"
    if training.data != "pixels" or training.text or training.alignment is not None:
        return "models that read latents, tokens or text are trained by themselves"
    if training.grid_every is not None:
        return "training.grid_every draws grids of one model"
    if training.world_size > 1:
        return f"training.num_workers={training.num_workers} share the batch of one model"
    return None


def _trained(sweep: Sweep) -> TrainingConfig:
    """Return how the model of the sweep is trained, unless a trial varies it."""
    return sweep.base.models[sweep.config.trained_model(sweep.base)].training


def _model(trial: Trial) -> ModelConfigs:
    (model,) = trial.run.config.models.values()
    return model


def _member(trial: Trial) -> Member:
    """Return the model of a trial whose subset is selected; its images are written."""
    run = trial.run
    ((name, method),) = run.trainings()
    write_training_images(run, method)
    job = training_job(run, name, method, len(run_listing(run).classes))
    sampling = of_trained(run.config.models[name].sampling, job.classes, job.num_classes)
    steps = job.config.kept_steps
    directories = tuple((step, run.samples_directory(name, method, step)) for step in steps)
    return Member(job, (Sampling(sampling, directories),))


def joined(members: Sequence[Member]) -> list[Member]:
    """Return each training once, with the samplings of all trials that share it."""
    found: dict[str, Member] = {}
    for member in members:
        before = found.setdefault(member.job.directory, member)
        new = [each for each in member.samplings if each not in before.samplings]
        found[member.job.directory] = replace(before, samplings=(*before.samplings, *new))
    return list(found.values())


def ensemble_units(
    members: Sequence[Member], limit: int | None, workers: int
) -> Iterator[EnsembleUnit]:
    """Yield groups of models that can be trained at once; finished ones are left out.

    Args:
        members: models of all trials.
        limit: most models at once; None leaves it to the memory of each worker, which gets an
            equal share of the models.
        workers: number of workers.
    """
    groups: dict[str, list[Member]] = {}
    for member in joined(members):
        if not member.is_finished:
            groups.setdefault(_shape(member.job), []).append(member)
    for group in groups.values():
        size = limit or math.ceil(len(group) / max(1, workers))
        for start in range(0, len(group), size):
            piece = group[start : start + size]
            name = f"{len(piece)} models from {piece[0].job.directory.rpartition('/')[2]}"
            yield EnsembleUnit(name, tuple(piece), limit)


def _shape(job: TrainJob) -> str:
    """Return what the models of an ensemble have in common."""
    return f"{job.num_classes} {job.image_shape} {same_but_for_seed(job.config)}"


def _run(sweep: Sweep, units: Sequence[EnsembleUnit], *, on_gpu: bool) -> None:
    """Train and sample with a worker on each GPU; trials of what fails do it by themselves."""
    work = PoolWork("ensembles", len(units), uses_gpu=on_gpu)
    settings = PoolConfig() if on_gpu else PoolConfig(num_gpus=0)
    pool = sized_pool(settings, sweep.base.cluster, work)
    backend = RayBackend.of(EnsembleActor, pool, "cuda" if on_gpu else "cpu")
    title = f"train {sweep.config.name}"
    key = f"ensembles-{sweep.config.name}"
    with Progress(sweep.run.store, key, f"{title} at once", "ensemble") as progress:
        progress.follow([UnitProgress(name=unit.name) for unit in units])
        outcome = Pool(backend, pool).run(units, progress.change)
    models = sum(len(unit.members) for unit in units)
    note(title, f"{models} models in {len(units)} groups, {len(outcome.failures)} failed")
