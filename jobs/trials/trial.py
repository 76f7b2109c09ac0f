"""The trials of a sweep and their configurations."""

import copy
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from jobs.command.settings import build, set_value
from jobs.run_directory.config import RunConfig
from jobs.run_directory.identity import identity
from jobs.run_directory.run import Run
from jobs.trials.config import METHOD, VARIANT, Span, SweepConfig
from otcondense.errors import InputError
from otcondense.store import canonical_json, hash8

SWEEP_VERSION = 1
"""Part of the hash in a sweep's directory; a change of its files needs a new number."""
DRAWN_DIGITS = 6
"""Significant digits of a drawn value: names of directories must not depend on the last bit of a
library's exponential."""
_WHERE = {"run", "cluster", "extraction", "representations", "samplers", "trackers"}
"""Settings that decide where and how fast a run works, but not its results."""
Values = dict[str, Any]
"""Values of a trial by the names of the space."""


@dataclass(frozen=True)
class Trial:
    """One point of the space and its run."""

    values: Values
    run: Run
    """The run directory of the sweep with the configuration of the trial, so that trials share
    the files of equal stages."""
    key: str
    """Eight digits of the hash of all that it produces."""


@dataclass(frozen=True)
class Sweep:
    """A sweep in the run directory of its base configuration."""

    config: SweepConfig
    base: RunConfig
    """The configuration that trials vary."""
    verb: str = "sweep"
    """The command that runs it: `sweep` or `compare`."""

    def __post_init__(self) -> None:
        method = self.config.method
        methods = self.base.selection.methods
        if not self.config.variants and method not in methods:
            raise InputError(
                f"method must be among selection.methods {', '.join(methods)}, found {method}"
            )
        if self.base.selection.budgets:
            raise InputError(
                "trials have one budget each, found selection.budgets "
                f"{list(self.base.selection.budgets)}; leave it out and vary selection.budget"
            )
        if self.config.kind == "full":
            self._check_full()

    def _check_full(self) -> None:
        """Check that full trials can train and be measured."""
        models = self.base.models
        if not models or self.config.trained_model(self.base) not in models:
            raise InputError(
                "full trials need a model of the configuration, "
                f"there are {', '.join(models) or 'none'}; add one, or set kind=subset"
            )
        if self.base.held_out is None:
            raise InputError(
                "full trials are measured against held_out images, found held_out null; "
                "set held_out, or kind=subset"
            )

    @property
    def title(self) -> str:
        """What its bars and messages are about."""
        return f"{self.verb} {self.config.name}"

    @property
    def run(self) -> Run:
        """The run that holds the sweep."""
        return Run(self.base)

    @property
    def directory(self) -> str:
        """Where the sweep's own files are."""
        base = identity(_settings(self.base))
        key = [SWEEP_VERSION, self.config.model_dump(mode="json", exclude=_HOW), base]
        return f"sweeps/{self.config.name}-{hash8(key)}"

    def trial(self, values: Values) -> Trial:
        """Return the trial of some values.

        Raises: InputError if no run accepts them.
        """
        method = self.method(values)
        plain = self.base_with(values).model_dump(mode="json", exclude_unset=True)
        plain["run"] = self.run.store.root
        # A subset has few images: their latents are made in the process of the trial.
        plain["representations"] = {"num_encoders": 0}
        plain["extraction"] = {"num_encoders": 0}
        kept = [self.config.trained_model(self.base)] if self.config.kind == "full" else []
        plain["models"] = {model: plain["models"][model] for model in kept}
        _select_by(plain, method)
        run = Run(build(RunConfig, plain, "the sweep"))

        produced = [run.selection_directory(method)]
        produced += [run.metrics_file(*checkpoint) for checkpoint in run.checkpoints()]
        return Trial(values, run, hash8(produced))

    def method(self, values: Values) -> str:
        """Return the selection method of a trial."""
        return self.config.method_of(values.get(VARIANT))

    def base_with(self, values: Values) -> RunConfig:
        """Return the configuration with which a user would run a trial alone.

        Raises: InputError if no run accepts the values.
        """
        plain = copy.deepcopy(self.base.model_dump(mode="json", exclude_unset=True))
        method = self.method(values)
        model = self.config.trained_model(self.base) if self.base.models else ""
        bundle = self.config.variants.get(values.get(VARIANT, ""), {})
        for name, value in {**values, **bundle}.items():
            if name in (VARIANT, METHOD):
                continue
            for setting in self.config.settings(name, method, model):
                set_value(plain, setting, value)
        if self.config.variants:
            _select_by(plain, method)
        return build(RunConfig, plain, f"the trial {describe(values)}")

    def planned(self) -> list[Values]:
        """Return the values of every trial of a grid or random search, without repetitions.

        The order is the same at each call.
        """
        every = _grid(self.config) if self.config.search == "grid" else _draws(self.config)
        return list({canonical_json(values): values for values in every}.values())


_KEEP_BEST = {"none": False, "loss": True}
"""Values of `training.keep_best` as earlier versions wrote them."""
_HOW = {
    "max_concurrent",
    "driver_cpus",
    "driver_gpus",
    "max_failures",
    "ensemble_size",
    "repeats",
}
"""Fields that change where and how fast a sweep runs, and at most the last digits of its results,
as another device does; and what is done after it."""


def _settings(base: RunConfig) -> Values:
    """Return the settings that decide results, as the first sweeps wrote them.

    Newer fields are left out at their default, so that finished trials are still found.
    """
    plain = base.model_dump(mode="json", exclude=_WHERE)
    for source in (plain["source"], plain["held_out"] or {}):
        for name in ("part", "held_out_share"):
            if source.get(name) is None:
                source.pop(name, None)
    if base.groups is None or not base.selection.polish:
        del plain["selection"]["polish"]
    if plain["groups"] is None:
        del plain["groups"]
        plain["selection"].pop("allocation", None)
    if plain["random_draws"] is None:
        del plain["random_draws"]
    for model in plain["models"].values():
        if model["sampling"]["autoguidance"] is None:
            del model["sampling"]["autoguidance"]
        training = model["training"]
        training["keep_best"] = _KEEP_BEST.get(training["keep_best"], training["keep_best"])
    return plain


def describe(values: Values) -> str:
    """Return the values of a trial in words."""
    return " ".join(f"{name}={_text(value)}" for name, value in sorted(values.items()))


def _text(value: Any) -> str:
    return canonical_json(value) if isinstance(value, dict | list) else str(value)


def _select_by(plain: dict[str, Any], method: str) -> None:
    """Limit a configuration to one selection method and to training on its subsets."""
    set_value(plain, "selection.methods", [method])
    for model in plain.get("models", {}).values():
        model["training"]["subsets"] = [method]


def _space(config: SweepConfig) -> dict[str, tuple[Any, ...] | Span]:
    variants = {VARIANT: tuple(config.variants)} if config.variants else {}
    return {**variants, **config.space}


def _grid(config: SweepConfig) -> Iterator[Values]:
    lists: dict[str, tuple[Any, ...]] = {}
    for name, values in _space(config).items():
        assert not isinstance(values, Span), "the configuration refuses ranges in a grid"
        lists[name] = values
    for combination in itertools.product(*lists.values()):
        yield dict(zip(lists, combination, strict=True))


def _draws(config: SweepConfig) -> Iterator[Values]:
    """Yield the draws; the n-th does not depend on their number."""
    assert config.num_trials is not None
    for number in range(config.num_trials):
        generator = np.random.default_rng([config.seed, number])
        yield {name: _draw(values, generator) for name, values in _space(config).items()}


def _draw(values: tuple[Any, ...] | Span, generator: np.random.Generator) -> Any:
    if not isinstance(values, Span):
        return values[int(generator.integers(len(values)))]
    if values.integer:
        return int(generator.integers(int(values.low), int(values.high) + 1))
    if values.log:
        value = math.exp(generator.uniform(math.log(values.low), math.log(values.high)))
    else:
        value = generator.uniform(values.low, values.high)
    return float(f"{value:.{DRAWN_DIGITS}g}")
