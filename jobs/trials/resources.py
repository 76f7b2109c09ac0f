"""The resources of a trial, and the number of trials that a cluster can hold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest

from actors.pool_config import PoolConfig
from jobs.cluster.sizing import trial_pool
from jobs.run_directory.config import RunConfig
from jobs.run_directory.model_config import ModelConfigs
from jobs.train.placement import uses_gpu
from jobs.trials.trial import Sweep
from otcondense.diffusion import TrainingConfig
from otcondense.errors import InputError

Bundle = dict[str, float]
KINDS = ("CPU", "GPU")
NOTHING: Bundle = {"memory": 1.0}
"""One byte: Ray Tune refuses an empty reservation."""


@dataclass(frozen=True)
class TrialResources:
    """The bundles of one trial.

    Ray Tune reserves those of the driver and the actors; Ray Train places the training workers.
    """

    driver: Bundle
    actors: list[Bundle]
    training: list[Bundle]

    @property
    def bundles(self) -> list[Bundle]:
        """The bundles of Ray Tune: the trial's own process first."""
        return [self.driver, *self.actors]

    def total(self, kind: str) -> float:
        """Return how many CPUs or GPUs a trial takes."""
        return sum(bundle.get(kind, 0.0) for bundle in (*self.bundles, *self.training))


def trial_resources(sweep: Sweep, cluster: dict[str, float]) -> TrialResources:
    """Return the resources of one trial.

    Its pools run one after the other, so that it needs the bundles of the largest one.
    """
    config = sweep.config
    base = with_counts(sweep.base, cluster)
    pools = [base.selection.pool]
    training: list[Bundle] = []
    driver = _without_zeros({"CPU": config.driver_cpus, "GPU": _driver_gpus(sweep, cluster)})
    if config.kind == "full":
        pools.append(base.samplers)
        settings = base.models[config.trained_model(base)].training
        worker = _training_worker(settings, cluster)
        training = [worker] * (settings.num_workers or 0)
        if not settings.num_workers:  # the trial's own process trains
            driver = _largest([driver, worker])

    # A pool of no actors works in the trial's own process.
    driver = _largest([driver, *(_bundle(pool) for pool in pools if pool.num_actors == 0)])
    # The n-th actors of all pools share a bundle.
    shared = zip_longest(*map(_bundles, pools), fillvalue={})
    largest = [_largest(bundles) for bundles in shared]
    actors = [bundle for bundle in largest if bundle]
    if not driver and not actors:
        driver = NOTHING
    return TrialResources(driver, actors, training)


def _driver_gpus(sweep: Sweep, cluster: Mapping[str, float]) -> float:
    """Return the GPUs of the process of a trial, in which its networks work."""
    if sweep.config.driver_gpus is not None:
        return sweep.config.driver_gpus
    if sweep.config.kind != "full" or not cluster.get("GPU"):
        return 0.0
    base = sweep.base
    networks = [base.judge_or_encoder, *base.judges.values()]
    devices = [each.device for each in networks]
    devices += [getattr(base, kind).device for kind in base.training_inputs]
    return float(any(device != "cpu" for device in devices))


def _training_worker(settings: TrainingConfig, cluster: dict[str, float]) -> Bundle:
    on_gpu = uses_gpu(settings, int(cluster.get("GPU", 0)))
    return {"GPU": 1.0, "CPU": 1.0} if on_gpu else {"CPU": 1.0}


def concurrent_trials(
    resources: TrialResources, cluster: dict[str, float], limit: int | None
) -> int:
    """Return how many trials run at a time, at most as many as fit.

    Raises: InputError if not even one fits.
    """
    counts = []
    for kind in KINDS:
        needed, available = resources.total(kind), cluster.get(kind, 0.0)
        if needed > available:
            raise InputError(
                f"a trial needs {needed:g} {kind}s, the cluster has {available:g}; "
                "lower selection.pool.num_actors, samplers.num_actors or the model's "
                "training.num_workers, add nodes, or say what an autoscaler can start "
                "(cluster.gpus, cluster.cpus)"
            )
        if needed:
            counts.append(int(available // needed))
    return min([*counts, limit or max([1, *counts])])


def fitted(sweep: Sweep, cluster: Mapping[str, float]) -> Sweep:
    """Return the sweep with trials that fit the CPUs of the cluster.

    Numbers of workers that the configuration sets for larger machines do not keep trials from
    running: one that does not fit works in its own process. Only the rounding of several training
    workers is another.

    Args:
        sweep: with a number of workers for each None, as from `with_counts`.
        cluster: resources of the cluster.
    """
    cpus = cluster.get("CPU", 0.0)
    if cpus < 1 or trial_resources(sweep, dict(cluster)).total("CPU") <= cpus:
        return sweep
    base, config = sweep.base, sweep.config
    models = {
        name: model.model_copy(
            update={"training": model.training.model_copy(update={"num_workers": 0})}
        )
        for name, model in base.models.items()
    }
    changes = {
        "selection": base.selection.model_copy(update={"pool": _here(base.selection.pool, cpus)}),
        "samplers": _here(base.samplers, cpus),
        "models": models,
    }
    smaller = config.model_copy(update={"driver_cpus": min(config.driver_cpus, cpus)})
    return replace(sweep, base=base.model_copy(update=changes), config=smaller)


def _here(pool: PoolConfig, cpus: float) -> PoolConfig:
    """Return a pool that works in the process of its trial."""
    return pool.model_copy(update={"num_actors": 0, "num_cpus": min(pool.num_cpus, cpus)})


def with_counts(base: RunConfig, cluster: Mapping[str, float]) -> RunConfig:
    """Return the configuration that trials vary with a number of workers for each None.

    Many trials run at the same time, so that none of them takes the whole cluster. Without GPUs
    each trial is one process with one thread.

    Args:
        base: the configuration.
        cluster: resources of the cluster.
    """
    has_gpus = cluster.get("GPU", 0.0) > 0
    pool = trial_pool(base.selection.pool, has_gpus=False, small=not has_gpus)
    models = {
        name: _with_workers(model, 1 if has_gpus else 0) for name, model in base.models.items()
    }
    changes = {
        "selection": base.selection.model_copy(update={"pool": pool}),
        "samplers": trial_pool(base.samplers, has_gpus=has_gpus, small=not has_gpus),
        "models": models,
    }
    return base.model_copy(update=changes)


def _with_workers(model: ModelConfigs, count: int) -> ModelConfigs:
    if model.training.num_workers is not None:
        return model
    training = model.training.model_copy(update={"num_workers": count})
    return model.model_copy(update={"training": training})


def _bundles(pool: PoolConfig) -> list[Bundle]:
    assert pool.num_actors is not None, "with_counts has set it"
    return [_bundle(pool)] * pool.num_actors


def _bundle(pool: PoolConfig) -> Bundle:
    assert pool.num_gpus is not None, "with_counts has set it"
    return {"CPU": pool.num_cpus, "GPU": pool.num_gpus}


def _largest(bundles: Iterable[Bundle]) -> Bundle:
    """Return the smallest bundle that holds each of the given ones."""
    largest = dict.fromkeys(KINDS, 0.0)
    for bundle in bundles:
        for kind in KINDS:
            largest[kind] = max(largest[kind], bundle.get(kind, 0.0))
    return _without_zeros(largest)


def _without_zeros(bundle: Bundle) -> Bundle:
    return {kind: value for kind, value in bundle.items() if value}
