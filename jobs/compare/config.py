"""What a comparison compares."""

from typing import Any

from pydantic import Field, model_validator

from jobs.run_directory.config import RunConfig
from jobs.trials.config import FULL_METRICS, METHOD, SUBSET_METRICS, SweepConfig
from otcondense.config import Config
from otcondense.evaluation.comparison import Correction
from otcondense.evaluation.registry import SUBSET_PREFIX, Direction, Metric, metrics_of

SAMPLE_METRICS = {**FULL_METRICS, **metrics_of("network", "adm")}
"""Metrics of the samples of a trial."""
PREDICTORS = {f"{SUBSET_PREFIX}{name}": metric for name, metric in SUBSET_METRICS.items()}
"""Metrics of the subset itself, by their names in the results of trials."""


def find_metric(name: str) -> Metric | None:
    """Return a metric that methods can be compared by, None if the name is unknown.

    NAME.frechet_distance is the Fréchet distance through the further judge NAME.
    """
    plain = name.rsplit(".", 1)[-1]
    return SAMPLE_METRICS.get(plain) or PREDICTORS.get(plain)


def direction_of(name: str) -> Direction:
    """Return which values of a metric are better."""
    metric = find_metric(name)
    assert metric is not None, f"{name} is checked when a comparison is configured"
    return metric.direction


def guidance_setting(model: str) -> str:
    """Return the name of the setting that decides the guidance of a model's samples."""
    return f"models.{model}.sampling.cfg_scale"


class CompareConfig(Config):
    """Selection methods × budgets × guidances × training lengths × seeds.

    The training lengths are the kept checkpoints of the model.
    """

    name: str = Field(default="compare", pattern=r"^[\w-]+$")
    """Name of the comparison; its directory is this name and a hash."""
    variants: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """The variants to compare, by a name of your choice: `method` and any settings that differ;
    without variants, the methods of the configuration are compared."""
    against: str = "random"
    """The variant that all others are compared with."""
    budgets: tuple[int, ...] = ()
    """Images of each class; empty takes the budget of the configuration. A variant that sets
    selection.budget keeps its own."""
    guidance: tuple[float, ...] = ()
    """Strengths of guidance to sample with (sampling.cfg_scale; 1 is none), each from the same
    trained models; empty takes that of the configuration. A variant that sets its own keeps it."""
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    """Seeds of all random steps: selection, training, sampling. Variants share them, so that they
    are compared in pairs; a test needs at least 6."""
    correction: Correction = "holm"
    """Correction of the p-values of a table for its number of variants: holm, or joint, which needs
    no more seeds for more variants."""
    model: str | None = None
    """The model to train; null takes the first of the configuration."""
    metrics: tuple[str, ...] = Field(
        default=("frechet_distance", "precision", "recall", "coverage", "copy_share"), min_length=1
    )
    """Metrics of the tables and statements; the first one orders the variants. results.csv holds
    all metrics."""
    max_concurrent: int | None = Field(default=None, ge=1)
    """Most trials at a time; null runs as many as fit the cluster."""
    driver_cpus: float = Field(default=0.0, ge=0)
    """CPUs of the main process of each trial, in addition to its actors and training workers."""
    driver_gpus: float | None = Field(default=None, ge=0)
    """GPUs of the main process of each trial, which evaluates and makes latents. By default 1 if
    the cluster has GPUs and not all of these networks have device cpu."""
    max_failures: int = Field(default=1, ge=0)
    """How often a trial whose process died is retried before it counts as failed."""
    ensemble_size: int | None = Field(default=None, ge=1)
    """Most models of one shape that are trained, and sampled, at once; 1 turns it off. By default
    as many as fit the memory of a GPU, and 1 on CPUs, where little is won. It changes the
    last digits of the weights."""

    @model_validator(mode="after")
    def _check(self) -> "CompareConfig":
        unknown = [name for name in self.metrics if find_metric(name) is None]
        if unknown:
            known = ", ".join((*SAMPLE_METRICS, *PREDICTORS))
            raise ValueError(
                f"metrics must be among {known}, or NAME.METRIC of a further judge, "
                f"found {', '.join(unknown)}"
            )
        if self.variants and self.against not in self.variants:
            raise ValueError(
                f"against must be among the variants {', '.join(self.variants)}, "
                f"found {self.against}"
            )
        if any(budget < 1 for budget in self.budgets):
            raise ValueError(f"budgets must be at least 1, found {min(self.budgets)}")
        if any(guidance < 0 for guidance in self.guidance):
            raise ValueError(f"guidance must be at least 0, found {min(self.guidance)}")
        return self

    def _check_judges(self, base: RunConfig) -> None:
        for metric in self.metrics:
            judge, _, plain = metric.rpartition(".")
            if judge and judge not in base.judges:
                raise ValueError(
                    f"the judge of {metric} must be among the judges of the configuration, "
                    f"{', '.join(base.judges) or 'which has none'}; found {judge}; "
                    f"{plain} alone is by the main judge"
                )

    def sweep(self, base: RunConfig) -> SweepConfig:
        """Return the comparison as a sweep of full trials that never stop early.

        Raises: ValueError for an invalid variant, or a metric of a judge that is not there.
        """
        variants = self.variants or {method: {METHOD: method} for method in base.selection.methods}
        if self.against not in variants:
            raise ValueError(
                f"against must be among the methods of the configuration {', '.join(variants)}, "
                f"found {self.against}"
            )

        self._check_judges(base)
        space: dict[str, Any] = {}
        if self.budgets:
            space["selection.budget"] = self.budgets
        if self.guidance:
            space[guidance_setting(self.model or next(iter(base.models), ""))] = self.guidance
        space["seed"] = self.seeds

        return SweepConfig(
            name=self.name,
            model=self.model,
            max_concurrent=self.max_concurrent,
            driver_cpus=self.driver_cpus,
            driver_gpus=self.driver_gpus,
            max_failures=self.max_failures,
            ensemble_size=self.ensemble_size,
            kind="full",
            search="grid",
            stop_early=False,
            metric="frechet_distance",
            variants=variants,
            space=space,
        )
