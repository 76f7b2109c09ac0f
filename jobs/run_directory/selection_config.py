"""The configuration of the selection: methods, budgets and the settings of each method."""

from typing import Any, Literal

from pydantic import ConfigDict, Field, create_model, model_validator

from actors.pool_config import PoolConfig
from otcondense.config import Config
from otcondense.selection import SELECTORS
from otcondense.selection.selector_config import SelectorConfig
from otcondense.store.score_kinds import HARD_END, ScoreKind

SHARED_FIELDS = frozenset(SelectorConfig.model_fields)
"""Settings that all methods of a run share, so that no method has them as its own."""


class _MadeConfig(Config):
    """Base of the models below: their fields have descriptions, so no source needs parsing."""

    model_config = ConfigDict(use_attribute_docstrings=False)


def _own_settings(name: str) -> type[Config]:
    """Return the settings of one selector without the shared ones."""
    own: dict[str, Any] = {}
    for key, info in SELECTORS[name].Config.model_fields.items():
        if key not in SHARED_FIELDS:
            own[key] = (info.annotation, info)
    return create_model(f"{name}_settings", __base__=_MadeConfig, **own)


def _all_settings() -> type[Config]:
    """Return a model with one group of settings for each registered selector.

    It is made at run time, so that a new selector needs no change here.
    """
    groups: dict[str, Any] = {}
    for name in SELECTORS:
        model = _own_settings(name)
        groups[name] = (model, model())
    return create_model("SelectorSettings", __base__=_MadeConfig, **groups)


SelectorSettings: type[Config] = _all_settings()


def _default_difficulties() -> dict[str, ScoreKind]:
    """Return the score that each difficulty-based selector was published with."""
    kinds: dict[str, ScoreKind] = {}
    for name, selector in SELECTORS.items():
        if selector.difficulty_kind is not None:
            kinds[name] = selector.difficulty_kind
    return kinds


class SelectionConfig(Config):
    """Which images to choose, and how."""

    methods: tuple[str, ...] = ("geometry_aware", "random")
    """Selection methods to run, by name."""
    budget: int | dict[str, int] = 10
    """Images to choose from each class: one number, or one for each class name."""
    seed: int = Field(default=0, ge=0)
    """Seed of the methods that draw at random; each class derives its own from it."""
    small_class: Literal["error", "take_all"] = "error"
    """What to do with a class of fewer images than the budget: refuse it, or take all images."""
    include: tuple[str, ...] = ()
    """Ids (class/file) of images to choose in any case, by every method."""
    exclude: tuple[str, ...] = ()
    """Ids of images that must not be chosen, such as those without a licence; they still count as
    part of their class."""
    settings: SelectorSettings = SelectorSettings()
    """Settings of each method."""
    difficulty: dict[str, ScoreKind] = Field(default_factory=_default_difficulties)
    """Difficulty score (`python -m jobs.score`) used by each difficulty-based method: denoising
    (high is hard) or aum (low is hard)."""
    pool: PoolConfig = PoolConfig()
    """The actors that select classes in parallel; they do not change the result."""

    @model_validator(mode="after")
    def _check(self) -> "SelectionConfig":
        unknown = [name for name in self.methods if name not in SELECTORS]
        if unknown:
            raise ValueError(
                f"methods must be among {', '.join(SELECTORS)}, found {', '.join(unknown)}"
            )
        self._check_difficulties()
        self._check_budgets()
        return self

    def _check_difficulties(self) -> None:
        known = [name for name in SELECTORS if SELECTORS[name].difficulty_kind is not None]
        for name, kind in self.difficulty.items():
            if name not in known:
                raise ValueError(f"difficulty must be set for {', '.join(known)}, found {name}")
            hard = getattr(self.settings, name).hard
            if name in self.methods and hard != HARD_END[kind]:
                raise ValueError(
                    f"settings.{name}.hard must be {HARD_END[kind]} for scores of kind {kind}, "
                    f"found {hard}"
                )

    def _check_budgets(self) -> None:
        budgets = list(self.budget.values()) if isinstance(self.budget, dict) else [self.budget]
        if any(budget < 1 for budget in budgets):
            raise ValueError(f"budget must be at least 1, found {min(budgets)}")
        for method in self.methods:
            self.selector_settings(method, max(budgets))

    def selector_settings(self, method: str, budget: int) -> dict[str, Any]:
        """Return the keyword arguments of a selector, defaults filled in.

        Args:
            method: name of the selector.
            budget: images to choose from the class.
        """
        given: dict[str, Any] = getattr(self.settings, method).model_dump(exclude_unset=True)
        config = SELECTORS[method].Config(
            **given, budget=budget, seed=self.seed, small_class=self.small_class
        )
        return config.model_dump(mode="json")

    def score_kinds(self) -> tuple[ScoreKind, ...]:
        """Return the kinds of difficulty scores that the methods use."""
        return tuple(
            sorted({kind for name, kind in self.difficulty.items() if name in self.methods})
        )

    def budget_of(self, class_name: str) -> int:
        """Return how many images to choose from one class."""
        return self.budget[class_name] if isinstance(self.budget, dict) else self.budget
