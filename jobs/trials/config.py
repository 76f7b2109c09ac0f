"""What a sweep varies, how trials are found, and what they are compared by."""

from typing import Any, Literal

from pydantic import Field, model_validator

from jobs.run_directory.config import SHARED_FIELDS, RunConfig
from otcondense.config import Config
from otcondense.selection import SELECTORS

SUBSET_METRICS = {
    "frechet_distance": "min",
    "precision": "max",
    "recall": "max",
    "density": "max",
    "coverage": "max",
}
FULL_METRICS = {
    **SUBSET_METRICS,
    "fid": "min",
    "kid": "min",
    "inception_score": "max",
    "copy_share": "min",
}
OBJECTIVES = ("objective", "lower_bound", "transport_cost")
YARDSTICKS = (
    "run",
    "digits",
    "source",
    "held_out",
    "judge",
    "judges",
    "evaluation",
    "models",
    "selection.methods",
)
"""Settings that all trials of a sweep share: what they are made from and measured by."""
EXTRACTED = ("encoder", "confidence", "extraction")
"""Settings whose features are extracted before the first trial; `models.NAME.training` and `.sampling` may vary in full trials."""

VARIANT, METHOD = "variant", "method"


class Span(Config):
    """A range of values."""

    low: float
    """Smallest value."""
    high: float
    """Largest value."""
    log: bool = False
    """Draw the logarithm uniformly, for values that span orders of magnitude."""
    integer: bool = False
    """Whole numbers only, both ends included."""

    @model_validator(mode="after")
    def _check(self) -> "Span":
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(
                f"low must be below high, and above 0 with log, found low {self.low}, high {self.high}"
            )
        return self


class SweepConfig(Config):
    """A sweep over any settings of a run."""

    name: str = Field(default="sweep", pattern=r"^[\w-]+$")
    """Name of the sweep's directory, a hash beside it."""
    kind: Literal["subset", "full"] = "subset"
    """subset: select, then measure the subset itself, in seconds; full: select, train, sample, evaluate."""
    space: dict[str, tuple[Any, ...] | Span] = Field(default_factory=dict)
    """Values of each setting: a list, or {low, high, log, integer}. Settings of the method (kappa, alpha, beta, epsilon) go by their
    own name, all others by their whole name, such as selection.budget; seed is the seed of everything that draws at random."""
    variants: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Named bundles of settings, tried like one more setting of the space that is called variant; they win over the space's, and
    `method` in a bundle is its selection method."""
    search: Literal["grid", "random", "optuna"] = "grid"
    """grid: every combination of the lists; random: `num_trials` draws; optuna: `num_trials` that learn from those before."""
    num_trials: int | None = Field(default=None, ge=1)
    """Trials of a random or optuna search."""
    seed: int = Field(default=0, ge=0)
    """Seed of the random or optuna search."""
    method: str = "geometry_aware"
    """Selection method that is swept."""
    model: str | None = None
    """Model that full trials train; null takes the configuration's first."""
    metric: str = "frechet_distance"
    """What trials are compared by. Never the selection's objective: alpha and beta change what it means."""
    reduction_factor: int = Field(default=3, ge=2)
    """Full trials: at each kept checkpoint the best 1/reduction_factor of the trials seen there go on (ASHA)."""
    stop_early: bool = True
    """Full trials: whether bad ones end at an early checkpoint."""
    reference_images: int = Field(default=10_000, ge=4)
    """Images that subsets are compared with: held-out ones where the configuration has them, else of the source; evenly spaced."""
    max_concurrent: int | None = Field(default=None, ge=1)
    """Most trials at a time; null is as many as the cluster holds."""
    driver_cpus: float = Field(default=0.0, ge=0)
    """CPUs of each trial's own process, beside those of its actors and training workers."""
    driver_gpus: float = Field(default=0.0, ge=0)
    """GPUs of each trial's own process, where full trials evaluate."""
    max_failures: int = Field(default=1, ge=0)
    """How often a trial whose process died is started again before it counts as failed."""
    loggers: tuple[Literal["wandb", "mlflow"], ...] = ()
    """Where to log beside TensorBoard; each needs its extra (pip install otcondense[wandb])."""

    @model_validator(mode="after")
    def _check(self) -> "SweepConfig":
        if self.method not in SELECTORS:
            raise ValueError(f"method must be among {', '.join(SELECTORS)}, found {self.method}")
        if not (self.space or self.variants) or any(
            isinstance(values, tuple) and not values for values in self.space.values()
        ):
            raise ValueError("space must name at least one setting, each with at least one value")
        self._check_metric()
        self._check_search()
        self._check_variants()
        names = [(name, self.method) for name in self.space]
        names += [
            (name, self.method_of(variant))
            for variant, bundle in self.variants.items()
            for name in bundle
            if name != METHOD
        ]
        for name in (whole for short, method in names for whole in self.settings(short, method)):
            if name.split(".")[0] == name or not name.startswith(
                ("selection.", "models.", *(f"{each}." for each in EXTRACTED))
            ):
                raise ValueError(
                    f"space cannot vary {name}: trials of a sweep share {', '.join(YARDSTICKS)}; kappa, selection.budget can"
                )
        return self

    def _check_variants(self) -> None:
        unknown = [
            self.method_of(name) for name in self.variants if self.method_of(name) not in SELECTORS
        ]
        if unknown:
            raise ValueError(
                f"method must be among {', '.join(SELECTORS)}, found {', '.join(unknown)}"
            )
        if self.variants and (VARIANT in self.space or self.search == "optuna"):
            raise ValueError(
                "variants need search=grid or random, and no other setting that is called variant"
            )

    def _check_metric(self) -> None:
        if self.metric in OBJECTIVES:
            raise ValueError(
                f"metric {self.metric} cannot compare trials: alpha, beta and kappa change what it means; {_list(self.directions)}"
            )
        if self.metric not in self.directions:
            raise ValueError(
                f"metric of {self.kind} trials must be among {_list(self.directions)}, found {self.metric}"
            )

    def _check_search(self) -> None:
        spans = [name for name, values in self.space.items() if isinstance(values, Span)]
        if self.search == "grid" and (spans or self.num_trials):
            raise ValueError(
                f"a grid needs a list of values for each setting and no num_trials, found a range for {', '.join(spans) or 'none'}"
            )
        if self.search != "grid" and self.num_trials is None:
            raise ValueError(f"search={self.search} needs num_trials")
        extracted = [
            name for name in self.space if self.settings(name, self.method)[0].startswith(EXTRACTED)
        ]
        if self.search == "optuna" and extracted:
            raise ValueError(
                f"optuna cannot vary {extracted[0]}: its features are extracted before the first trial; use grid or random"
            )

    @property
    def directions(self) -> dict[str, str]:
        """Every metric of these trials, and whether it is to be small (min) or large (max)."""
        return SUBSET_METRICS if self.kind == "subset" else FULL_METRICS

    @property
    def mode(self) -> str:
        """Whether the metric is to be small (min) or large (max)."""
        return self.directions[self.metric]

    def settings(self, name: str, method: str, model: str = "NAME") -> tuple[str, ...]:
        """Return the whole names of what a name of the space stands for, for one selection method and trained model."""
        if name == "seed":
            return "selection.seed", *(
                f"models.{model}.{part}.seed"
                for part in ("training", "sampling")
                if self.kind == "full"
            )
        own = SELECTORS[method].Config.model_fields.keys() - SHARED_FIELDS
        return (f"selection.settings.{method}.{name}" if name in own else name,)

    def method_of(self, variant: str | None) -> str:
        """Return the selection method of a variant, or of a trial without."""
        return str(self.variants.get(variant or "", {}).get(METHOD, self.method))

    def trained_model(self, config: RunConfig) -> str:
        """Return the model that full trials train."""
        return self.model or next(iter(config.models))


def _list(names: dict[str, str]) -> str:
    return ", ".join(names)
