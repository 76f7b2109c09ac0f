"""What a comparison compares."""

from typing import Any

from pydantic import Field, model_validator

from jobs.run_directory.config import RunConfig
from jobs.trials.config import FULL_METRICS, METHOD, SweepConfig
from otcondense.config import Config

MEASURES = {
    **FULL_METRICS,
    "authenticity": "max",
    "near_copy_share": "min",
    "adm_fid": "min",
    "adm_sfid": "min",
    "adm_inception_score": "max",
    "adm_precision": "max",
    "adm_recall": "max",
    "subset_frechet_distance": "min",
    "subset_coverage": "max",
    "subset_recall": "max",
    "cmmd": "min",
}
"""Every figure that methods can be compared by, and whether it is to be small (min) or large (max)."""


def direction_of(metric: str) -> str | None:
    """Return min or max, whichever is better; NAME.frechet_distance is that of the judge NAME. None for an unknown metric."""
    return MEASURES.get(metric.rsplit(".", 1)[-1])


class CompareConfig(Config):
    """Selection methods × budgets × training lengths × seeds; the lengths are the model's kept checkpoints."""

    name: str = Field(default="compare", pattern=r"^[\w-]+$")
    """Name of the comparison's directory, a hash beside it."""
    variants: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """What is compared, by a name of your choice: `method` and any settings that differ; none takes the configuration's methods."""
    against: str = "random"
    """The variant that all others are compared with."""
    budgets: tuple[int, ...] = ()
    """Images of each class; none takes the configuration's budget. A variant that sets selection.budget keeps its own."""
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    """Seeds of everything that draws at random: selection, training, sampling."""
    model: str | None = None
    """The model that is trained; null takes the configuration's first."""
    metrics: tuple[str, ...] = Field(
        default=("frechet_distance", "precision", "recall", "coverage", "copy_share"), min_length=1
    )
    """Figures of the tables and statements; the first one orders them. All others are in results.csv."""
    max_concurrent: int | None = Field(default=None, ge=1)
    """Most trials at a time; null is as many as the cluster holds."""
    driver_cpus: float = Field(default=0.0, ge=0)
    """CPUs of each trial's own process, beside those of its actors and training workers."""
    driver_gpus: float = Field(default=0.0, ge=0)
    """GPUs of each trial's own process, which evaluates."""
    max_failures: int = Field(default=1, ge=0)
    """How often a trial whose process died is started again before it counts as failed."""

    @model_validator(mode="after")
    def _check(self) -> "CompareConfig":
        unknown = [name for name in self.metrics if direction_of(name) is None]
        if unknown:
            raise ValueError(
                f"metrics must be among {', '.join(MEASURES)}, or NAME.METRIC of a further judge, found {', '.join(unknown)}"
            )
        if self.variants and self.against not in self.variants:
            raise ValueError(
                f"against must be among the variants {', '.join(self.variants)}, found {self.against}"
            )
        if any(budget < 1 for budget in self.budgets):
            raise ValueError(f"budgets must be at least 1, found {min(self.budgets)}")
        return self

    def sweep(self, base: RunConfig) -> SweepConfig:
        """Return the comparison as a sweep of full trials, all of them measured to the end.

        Raises: ValueError for a variant that cannot be.
        """
        variants = self.variants or {method: {METHOD: method} for method in base.selection.methods}
        if self.against not in variants:
            raise ValueError(
                f"against must be among the configuration's methods {', '.join(variants)}, found {self.against}"
            )
        shared = {
            name: getattr(self, name)
            for name in (
                "name",
                "model",
                "max_concurrent",
                "driver_cpus",
                "driver_gpus",
                "max_failures",
            )
        }
        space: dict[str, tuple[Any, ...]] = {
            **({"selection.budget": self.budgets} if self.budgets else {}),
            "seed": self.seeds,
        }
        return SweepConfig(
            **shared,
            kind="full",
            search="grid",
            stop_early=False,
            metric="frechet_distance",
            variants=variants,
            space={**space},
        )
