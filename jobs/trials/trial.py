"""The trials of a sweep: which there are, and the configuration of each."""

import copy
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from jobs.command.settings import build, set_value
from jobs.run_directory.config import RunConfig
from jobs.run_directory.run import Run, identity
from jobs.trials.config import METHOD, VARIANT, Span, SweepConfig
from otcondense.errors import InputError
from otcondense.store import canonical_json, hash8

SWEEP_VERSION = 1
Values = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """One setting of the space, and the run it makes."""

    values: Values
    """By the names of the space."""
    run: Run
    """The sweep's own run directory with the trial's configuration: stages it shares with other trials are shared."""
    key: str
    """Eight digits of the hash of all that it makes."""


@dataclass(frozen=True)
class Sweep:
    """A sweep in the run directory of its base configuration."""

    config: SweepConfig
    base: RunConfig
    """The configuration that trials vary."""

    def __post_init__(self) -> None:
        method, models = self.config.method, self.base.models
        if not self.config.variants and method not in self.base.selection.methods:
            raise InputError(
                f"method must be among selection.methods {', '.join(self.base.selection.methods)}, found {method}"
            )
        if self.config.kind == "full" and (
            not models or self.config.trained_model(self.base) not in models
        ):
            raise InputError(
                f"full trials need a model of the configuration, there are {', '.join(models) or 'none'}; or kind=subset"
            )
        if self.config.kind == "full" and self.base.held_out is None:
            raise InputError(
                "full trials are measured against held_out images, found held_out null; name some, or kind=subset"
            )

    @property
    def run(self) -> Run:
        """The run that holds the sweep."""
        return Run(self.base)

    @property
    def directory(self) -> str:
        """Where the sweep's own files are."""
        base = identity(self.base.model_dump(mode="json", exclude={"run"}))
        key = [SWEEP_VERSION, self.config.model_dump(mode="json", exclude=_HOW), base]
        return f"sweeps/{self.config.name}-{hash8(key)}"

    def trial(self, values: Values) -> Trial:
        """Return the trial of some values.

        Raises: InputError if no run can have them.
        """
        method, plain = (
            self.method(values),
            self.base_with(values).model_dump(mode="json", exclude_unset=True),
        )
        plain["run"] = self.run.store.root
        model = self.config.trained_model(self.base)
        plain["models"] = {model: plain["models"][model]} if self.config.kind == "full" else {}
        _select_by(plain, method)
        run = Run(build(RunConfig, plain, "the sweep"))
        made = [
            run.selection_directory(method),
            *(run.metrics_file(*each) for each in run.checkpoints()),
        ]
        return Trial(values, run, hash8(made))

    def method(self, values: Values) -> str:
        """Return the selection method of a trial."""
        return self.config.method_of(values.get(VARIANT))

    def base_with(self, values: Values) -> RunConfig:
        """Return the base configuration with the values of a trial: what a user would run to have that trial.

        Raises: InputError if no run can have them.
        """
        plain = copy.deepcopy(self.base.model_dump(mode="json", exclude_unset=True))
        method, model = (
            self.method(values),
            self.config.trained_model(self.base) if self.base.models else "",
        )
        bundle = self.config.variants.get(values.get(VARIANT, ""), {})
        for name, value in {**values, **bundle}.items():
            for whole in (
                self.config.settings(name, method, model) if name not in (VARIANT, METHOD) else ()
            ):
                set_value(plain, whole, value)
        if self.config.variants:
            _select_by(plain, method)
        return build(RunConfig, plain, f"the trial {describe(values)}")

    def planned(self) -> list[Values]:
        """Return the values of every trial of a grid or random search, each once, in an order that does not change."""
        found = _grid(self.config) if self.config.search == "grid" else _draws(self.config)
        return list({canonical_json(values): values for values in found}.values())


_HOW = {"max_concurrent", "driver_cpus", "driver_gpus", "max_failures", "loggers"}
"""Fields that change where and how fast a sweep runs, never what it finds."""


def describe(values: Values) -> str:
    """Return the values of a trial as a reader names it."""
    return " ".join(
        f"{name}={canonical_json(value) if isinstance(value, dict | list) else value}"
        for name, value in sorted(values.items())
    )


def _select_by(plain: dict[str, Any], method: str) -> None:
    """Have a configuration select by one method alone, and train on its subsets."""
    set_value(plain, "selection.methods", [method])
    for model in plain.get("models", {}).values():
        model["training"]["subsets"] = [method]


def _space(config: SweepConfig) -> dict[str, tuple[Any, ...] | Span]:
    return {**({VARIANT: tuple(config.variants)} if config.variants else {}), **config.space}


def _grid(config: SweepConfig) -> Iterator[Values]:
    lists = {
        name: values for name, values in _space(config).items() if not isinstance(values, Span)
    }
    return (
        dict(zip(lists, combination, strict=True))
        for combination in itertools.product(*lists.values())
    )


def _draws(config: SweepConfig) -> Iterator[Values]:
    """Yield the draws; the n-th is the same however many are asked for."""
    assert config.num_trials is not None
    for number in range(config.num_trials):
        generator = np.random.default_rng([config.seed, number])
        yield {name: _draw(values, generator) for name, values in _space(config).items()}


def _draw(values: tuple[Any, ...] | Span, generator: np.random.Generator) -> Any:
    if not isinstance(values, Span):
        return values[int(generator.integers(len(values)))]
    if values.integer:
        return int(generator.integers(int(values.low), int(values.high) + 1))
    low, high = (math.log(end) if values.log else end for end in (values.low, values.high))
    value = float(generator.uniform(low, high))
    # Six digits: names of directories then do not depend on the last bit of a library's exponential.
    return float(f"{math.exp(value) if values.log else value:.6g}")
