"""Settings of a sweep: what it varies, how it finds trials, and what it compares them by."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from jobs.run_directory.config import RunConfig
from jobs.run_directory.selection_config import SHARED_FIELDS
from otcondense.config import Config
from otcondense.datasets.names import check_given_name
from otcondense.evaluation.registry import Direction, Metric, metrics_of
from otcondense.near_names import did_you_mean
from otcondense.selection import SELECTORS

SUBSET_METRICS = metrics_of("distribution")
"""Metrics of subset trials: of the subset itself."""
FULL_METRICS = metrics_of("samples", "distribution", "copying", "denoising")
"""Metrics of full trials: of the samples, and of the model."""
OBJECTIVES = ("objective", "lower_bound", "transport_cost")
"""Values of a selection that cannot compare trials."""
SHARED_SETTINGS = (
    "run",
    "digits",
    "glyphs",
    "fashion",
    "source",
    "held_out",
    "judge",
    "judges",
    "evaluation",
    "models",
    "selection.methods",
)
"""Settings that all trials of a sweep share: their data and how they are measured."""
EXTRACTED = ("encoder", "encoders", "confidence", "extraction")
"""Settings whose features are extracted before the first trial."""
VARIED_PREFIXES = ("selection.", "models.", *(f"{name}." for name in EXTRACTED))
"""Beginnings of the settings that a sweep can vary; of a model, full trials can vary
`models.NAME.training` and `models.NAME.sampling`."""

VARIANT = "variant"
"""Name of the setting that chooses a variant."""
METHOD = "method"
"""Key of a variant that chooses its selection method."""


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
                "low must be below high, and above 0 with log, "
                f"found low {self.low}, high {self.high}"
            )
        return self


class SweepConfig(Config):
    """A sweep over any settings of a run."""

    RETIRED: ClassVar[frozenset[str]] = frozenset({"loggers"})

    name: str = Field(default="sweep", pattern=r"^[\w-]+$")
    """Name of the sweep; its directory is this name and a hash."""
    kind: Literal["subset", "full"] = "subset"
    """subset: select, then measure the subset itself, in seconds; full: select, train, sample,
    evaluate."""
    space: dict[str, tuple[Any, ...] | Span] = Field(default_factory=dict)
    """Values of each setting: a list, or {low, high, log, integer}. Settings of the method (kappa,
    alpha, beta, epsilon) have their short names, all others their full names, such as
    selection.budget; seed sets the seed of all random steps."""
    variants: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Named bundles of settings, tried as values of one more setting called variant. They override
    the space, and `method` in a bundle is its selection method."""
    search: Literal["grid", "random", "optuna"] = "grid"
    """grid: every combination of the lists; random: `num_trials` draws; optuna: `num_trials`
    trials; each one learns from the previous ones."""
    num_trials: int | None = Field(default=None, ge=1)
    """Trials of a random or optuna search."""
    seed: int = Field(default=0, ge=0)
    """Seed of the random or optuna search."""
    method: str = "geometry_aware"
    """Selection method to sweep."""
    model: str | None = None
    """Model that full trials train; null takes the first of the configuration."""
    metric: str = "frechet_distance"
    """The metric that compares trials. The objective of the selection cannot: alpha and beta change
    its meaning."""
    reduction_factor: int = Field(default=3, ge=2)
    """Full trials: at each kept checkpoint the best 1/reduction_factor of the trials seen there
    continue (ASHA)."""
    stop_early: bool = True
    """Full trials: whether bad ones stop at an early checkpoint."""
    repeats: int | None = Field(default=None, ge=0)
    """Further seeds with which the best two settings are measured again, to tell whether the best
    one is better beyond the noise; 0 for none. By default 6 for subsets, and 2 for full trials."""
    reference_images: int = Field(default=10_000, ge=4)
    """Number of images that subsets are compared with: held-out images if the configuration has
    them, else images of the source; evenly spaced."""
    max_concurrent: int | None = Field(default=None, ge=1)
    """Most trials at a time; null runs as many as fit the cluster."""
    driver_cpus: float = Field(default=0.0, ge=0)
    """CPUs of the main process of each trial, in addition to its actors and training workers."""
    driver_gpus: float | None = Field(default=None, ge=0)
    """GPUs of the main process of each trial, in which full trials evaluate and make latents. By
    default 1 for them if the cluster has GPUs and not all of these networks have device cpu."""
    max_failures: int = Field(default=1, ge=0)
    """How often a trial whose process died is retried before it counts as failed."""
    ensemble_size: int | None = Field(default=None, ge=1)
    """Full trials that do not stop early: most models of one shape that are trained, and sampled,
    at once; 1 turns it off. By default as many as fit the memory of a GPU, and 1 on CPUs, where
    little is won. It changes the last digits of the weights."""

    @model_validator(mode="after")
    def _check(self) -> "SweepConfig":
        if self.method not in SELECTORS:
            raise ValueError(_unknown_methods([self.method]))
        is_empty = any(isinstance(values, tuple) and not values for values in self.space.values())
        if is_empty or not (self.space or self.variants):
            raise ValueError("space must name at least one setting, each with at least one value")
        self._check_metric()
        self._check_search()
        self._check_variants()
        for name in self._varied_settings():
            if not name.startswith(VARIED_PREFIXES):
                raise ValueError(
                    f"space cannot vary {name}: all trials of a sweep share "
                    f"{', '.join(SHARED_SETTINGS)}; it can vary kappa or selection.budget"
                )
        return self

    def _varied_settings(self) -> list[str]:
        """Return the full names of all settings that the space and the variants change."""
        names: list[str] = []
        for short in self.space:
            names += self.settings(short, self.method)
        for variant, bundle in self.variants.items():
            for short in bundle:
                if short != METHOD:
                    names += self.settings(short, self.method_of(variant))
        return names

    def _check_variants(self) -> None:
        for name, bundle in self.variants.items():
            check_given_name(name, "variant")
            if name in SELECTORS and name != self.method and METHOD not in bundle:
                raise ValueError(
                    f"variant {name} has the name of a method, but would run {self.method}: write "
                    f"{name}: {{method: {name}}}, or choose another name"
                )
        methods = [self.method_of(name) for name in self.variants]
        unknown = [method for method in methods if method not in SELECTORS]
        if unknown:
            raise ValueError(_unknown_methods(unknown))
        if self.variants and (VARIANT in self.space or self.search == "optuna"):
            raise ValueError(
                "variants need search=grid or random, and no other setting called variant"
            )

    def _check_metric(self) -> None:
        known = ", ".join(self.metrics)
        if self.metric in OBJECTIVES:
            raise ValueError(
                f"metric {self.metric} cannot compare trials: alpha, beta and kappa change its "
                f"meaning; choose one of {known}"
            )
        if self.metric not in self.metrics:
            raise ValueError(
                f"metric of {self.kind} trials must be among {known}, found {self.metric}"
            )

    def _check_search(self) -> None:
        spans = [name for name, values in self.space.items() if isinstance(values, Span)]
        if self.search == "grid" and (spans or self.num_trials):
            raise ValueError(
                "a grid needs a list of values for each setting and no num_trials, "
                f"found a range for {', '.join(spans) or 'none'}"
            )
        if self.search != "grid" and self.num_trials is None:
            raise ValueError(f"search={self.search} needs num_trials")
        if self.search == "optuna":
            self._check_optuna()

    def _check_optuna(self) -> None:
        for name in self.space:
            if self.settings(name, self.method)[0].startswith(EXTRACTED):
                raise ValueError(
                    f"optuna cannot vary {name}: its features are extracted before the first "
                    "trial; use grid or random"
                )

    @property
    def metrics(self) -> dict[str, Metric]:
        """The metrics that can compare these trials."""
        return SUBSET_METRICS if self.kind == "subset" else FULL_METRICS

    @property
    def direction(self) -> Direction:
        """Which values of the metric are better."""
        return self.metrics[self.metric].direction

    @property
    def mode(self) -> Literal["min", "max"]:
        """The direction in the words of Ray Tune and Optuna."""
        return "min" if self.direction == "lower" else "max"

    def settings(self, name: str, method: str, model: str = "NAME") -> tuple[str, ...]:
        """Return the full names of the settings that a name of the space sets.

        Args:
            name: name in the space.
            method: selection method of the trial.
            model: model that the trial trains.
        """
        if name == "seed" and self.kind == "full":
            parts = ("training", "sampling")
            return ("selection.seed", *(f"models.{model}.{part}.seed" for part in parts))
        if name == "seed":
            return ("selection.seed",)
        own = SELECTORS[method].Config.model_fields.keys() - SHARED_FIELDS
        return (f"selection.settings.{method}.{name}" if name in own else name,)

    def method_of(self, variant: str | None) -> str:
        """Return the selection method of a variant, or of a trial without variants."""
        return str(self.variants.get(variant or "", {}).get(METHOD, self.method))

    def trained_model(self, config: RunConfig) -> str:
        """Return the model that full trials train."""
        return self.model or next(iter(config.models))


def _unknown_methods(names: Sequence[str]) -> str:
    """Return the sentence about methods that there are not."""
    hint = did_you_mean(names[0], SELECTORS)
    return f"method must be among {', '.join(SELECTORS)}, found {', '.join(names)}{hint}"
