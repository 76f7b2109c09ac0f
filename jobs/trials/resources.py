"""What each trial owns, and how many of them a cluster holds at a time."""

from dataclasses import dataclass
from itertools import zip_longest

from actors.pool import PoolConfig
from jobs.trials.trial import Sweep
from otcondense.errors import InputError

Bundle = dict[str, float]
KINDS = ("CPU", "GPU")
NOTHING: Bundle = {"memory": 1.0}
"""A byte: Ray Tune cannot reserve nothing at all."""


@dataclass(frozen=True)
class TrialResources:
    """The bundles that Ray Tune reserves for a trial, and the workers that Ray Train places beside them."""

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
    """Return what one trial owns: a bundle for each actor of the largest pool it uses, and its training workers."""
    config = sweep.config
    pools = [sweep.base.selection.pool]
    training: list[Bundle] = []
    own: Bundle = {}
    """What the trial's own process trains on, where it has no workers."""
    if config.kind == "full":
        pools += [
            sweep.base.samplers,
            *([sweep.base.representations] if sweep.run.config.training_inputs else []),
        ]
        settings = sweep.base.models[config.trained_model(sweep.base)].training
        on_gpu = settings.device == "cuda" or (
            settings.device == "auto" and cluster.get("GPU", 0) >= settings.world_size
        )
        worker = {"GPU": 1.0, "CPU": 1.0} if on_gpu else {"CPU": 1.0}
        training = [worker] * settings.num_workers
        own = {} if settings.num_workers else worker
    actors = [
        bundle
        for bundles in zip_longest(*map(_bundles, pools), fillvalue={})
        if (bundle := _largest(bundles))
    ]
    driver = _largest((_plain({"CPU": config.driver_cpus, "GPU": config.driver_gpus}), own))
    return TrialResources(driver if driver or actors else NOTHING, actors, training)


def concurrent_trials(
    resources: TrialResources, cluster: dict[str, float], limit: int | None
) -> int:
    """Return how many trials run at a time: never more than fit.

    Raises: InputError if not even one fits.
    """
    counts = []
    for kind in KINDS:
        needed, available = resources.total(kind), cluster.get(kind, 0.0)
        if needed > available:
            raise InputError(
                f"a trial needs {needed:g} {kind}s, the cluster has {available:g}; lower selection.pool.num_actors, samplers.num_actors or the "
                "model's training.num_workers, or add nodes"
            )
        if needed:
            counts.append(int(available // needed))
    return min([*counts, limit or max([1, *counts])])


def _bundles(pool: PoolConfig) -> list[Bundle]:
    return [{"CPU": pool.num_cpus, "GPU": pool.num_gpus}] * pool.num_actors


def _largest(bundles: tuple[Bundle, ...]) -> Bundle:
    return _plain({kind: max(bundle.get(kind, 0.0) for bundle in bundles) for kind in KINDS})


def _plain(bundle: Bundle) -> Bundle:
    return {kind: value for kind, value in bundle.items() if value}
