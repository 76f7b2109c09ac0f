"""The configuration of the selection: methods, budgets and the settings of each method."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ConfigDict, Field, create_model, field_validator, model_validator
from pydantic_core import PydanticKnownError

from actors.pool_config import PoolConfig
from jobs.run_directory.budget_rules import (
    Budget,
    check_budget,
    is_increasing,
    label,
    plain_budget,
)
from jobs.run_directory.id_lists import read_ids
from otcondense.config import Config
from otcondense.near_names import did_you_mean
from otcondense.selection import SELECTORS
from otcondense.selection.selector_config import SelectorConfig
from otcondense.store.score_kinds import HARD_END, ScoreKind
from otcondense.unit_rows import CostName

SHARED_FIELDS = frozenset(SelectorConfig.model_fields)
"""Settings that all methods of a run share, so that no method has them as its own."""


class _MadeConfig(Config):
    """Base of the models below: their fields have descriptions, so no source needs parsing."""

    model_config = ConfigDict(use_attribute_docstrings=False)


def _own_settings(name: str) -> type[Config]:
    """Return the settings of one selector without the shared ones."""
    known = SELECTORS[name].Config
    own: dict[str, Any] = {}
    for key, info in known.model_fields.items():
        if key not in SHARED_FIELDS:
            own[key] = (info.annotation, info)
    made = create_model(f"{name}_settings", __base__=_MadeConfig, **own)
    made.RETIRED = known.RETIRED
    # Ray sends configurations to other processes, which find the class here.
    globals()[made.__name__] = made
    return made


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


@dataclass(frozen=True)
class Subset:
    """One subset that a run chooses."""

    name: str
    method: str
    """Name in `SELECTORS`."""
    budgets: tuple[Budget, ...]
    """Its budget, after those of the smaller subsets that it holds."""


class SelectionConfig(Config):
    """Which images to choose, and how."""

    methods: tuple[str, ...] = ("geometry_aware", "random")
    """Selection methods to run, by name."""
    budget: int | str | dict[str, int | str] = 10
    """Images to choose: a number from each class, a share of each class such as "1%" or 0.01,
    {total: 10000, allocation: uniform | proportional | sqrt} for all classes together, or a number
    or share for each class name."""
    budgets: tuple[int | str, ...] = ()
    """Increasing numbers or shares such as [10, 50, 100], in place of budget: each method gives one
    subset for each, called METHOD-BUDGET, and each holds the one before it."""
    allocation: Literal["proportional", "sqrt", "uniform", "objective"] = "proportional"
    """With groups, how the budget of a class is shared among its groups: by size, by the root of
    the size, equally, or by how much the objective gains from each further image."""
    polish: bool = False
    """With groups, improve the choices of all groups of a class together: geometry_aware swaps
    until their statistics are those of the whole class; a class of more than 131,072 images keeps
    the choices of its groups."""
    seed: int = Field(default=0, ge=0)
    """Seed of the methods that draw at random; each class derives its own from it."""
    small_class: Literal["error", "take_all"] = "error"
    """What to do with a class of fewer images than the budget: refuse it, or take all images."""
    include: tuple[str, ...] | str = ()
    """Ids (class/file) of images to choose in any case, by every method; or a file of them: one per
    line, JSON, CSV, Parquet (docs/neighbours/continue-a-choice.md), also FILE#TAG."""
    exclude: tuple[str, ...] | str = ()
    """Ids of images that must not be chosen, such as those without a licence, or a file of them;
    they still count as part of their class."""
    start: str | None = None
    """File of the ids chosen so far, such as the manifest of a subset: they are kept, come first,
    and the choice goes on from them."""
    duplicates: Literal["merge", "keep", "drop"] = "merge"
    """Exact copies (equal bytes) and near copies in a class: merge makes one candidate of a set
    of copies and keeps its weight in the class, drop removes the copies from the class, keep treats
    them as images like all others. reference=authors knows no candidates: there merge is keep."""
    near_copies: float = Field(default=0.2, ge=0, lt=1)
    """Images are near copies if their features are closer than this share of the usual distance in
    the class, the median distance to the fifth nearest image; 0 finds exact copies only."""
    held_out_copies: Literal["leave_out", "refuse", "keep"] = "leave_out"
    """Images with the same bytes as a held-out image: leave_out of the class and count them, refuse
    to select, or keep them."""
    settings: SelectorSettings = SelectorSettings()
    """Settings of each method."""
    difficulty: dict[str, ScoreKind] = Field(default_factory=_default_difficulties)
    """Difficulty score (`otcondense score`) used by each difficulty-based method: denoising
    (high is hard) or aum (low is hard)."""
    cost: CostName = "squared_distance"
    """How far apart two images are, for every method: squared_distance of their features, or
    cosine, which is the same as normalize=l2 for every encoder."""
    pool: PoolConfig = PoolConfig()
    """The actors that select classes in parallel; they do not change the result."""

    @field_validator("budget", "budgets", mode="before")
    @classmethod
    def _with_plain_shares(cls, value: object) -> object:
        """Write shares as texts, so that 0.01 and "1%" name the same results."""
        given = value if isinstance(value, (list, tuple)) else [value]
        plain = [plain_budget(each) for each in given]
        groups = [each.values() if isinstance(each, dict) else [each] for each in plain]
        if any(isinstance(each, float) for group in groups for each in group):
            raise PydanticKnownError("int_type")  # 1.0 could be one image, or all
        return plain[0] if given is not value else plain

    @model_validator(mode="after")
    def _check(self) -> "SelectionConfig":
        unknown = [name for name in self.methods if name not in SELECTORS]
        if unknown or not self.methods:
            found = ", ".join(unknown) or "none"
            hint = "".join(did_you_mean(name, SELECTORS) for name in unknown[:1])
            raise ValueError(f"methods must be among {', '.join(SELECTORS)}, found {found}{hint}")
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
        check_budget(self.budget, "budget")
        for budget in self.budgets:
            check_budget(budget, "budgets")
        if not is_increasing(self.budgets):
            raise ValueError(
                f"budgets must be increasing, all numbers or all shares, found {list(self.budgets)}"
            )
        for method in self.methods:
            self.selector_settings(method, 1)

    @property
    def subsets(self) -> tuple[str, ...]:
        """Names of the subsets: the methods, or with nested budgets METHOD-BUDGET."""
        return tuple(subset.name for method in self.methods for subset in self.subsets_of(method))

    def subsets_of(self, method: str) -> tuple[Subset, ...]:
        """Return the subsets that one method chooses, the smallest first."""
        if not self.budgets:
            return (Subset(method, method, (self.budget,)),)
        found = []
        for count, budget in enumerate(self.budgets, start=1):
            name = f"{method}-{label(budget)}"
            found.append(Subset(name, method, self.budgets[:count]))
        return tuple(found)

    def subset(self, name: str) -> Subset:
        """Return the subset called `name`; one that is not in the configuration is a method's."""
        for method in self.methods:
            for subset in self.subsets_of(method):
                if subset.name == name:
                    return subset
        return Subset(name, name, (self.budget,))

    def named(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return subsets by name; the name of a method stands for all of its subsets."""
        found: dict[str, None] = {}
        for name in names:
            subsets = self.subsets_of(name) if name in self.methods else ()
            found |= dict.fromkeys([each.name for each in subsets] or [name])
        return tuple(found)

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

    def duplicates_of(self, method: str) -> Literal["merge", "keep", "drop"]:
        """Return what is done about copies by one method."""
        settings = getattr(self.settings, method)
        if self.duplicates == "merge" and getattr(settings, "reference", None) is not None:
            return "keep"
        return self.duplicates

    def included(self) -> tuple[str, ...]:
        """Return the ids of the images to choose in any case, those of `start` first.

        Raises: InputError if a file of them cannot be used.
        """
        start = () if self.start is None else read_ids(self.start, "selection.start")
        return tuple(dict.fromkeys([*start, *_ids(self.include, "selection.include")]))

    def excluded(self) -> tuple[str, ...]:
        """Return the ids of the images that must not be chosen.

        Raises: InputError if a file of them cannot be used.
        """
        return _ids(self.exclude, "selection.exclude")

    def score_kinds(self) -> tuple[ScoreKind, ...]:
        """Return the kinds of difficulty scores that the methods use."""
        return tuple(
            sorted({kind for name, kind in self.difficulty.items() if name in self.methods})
        )


def _ids(value: tuple[str, ...] | str, setting: str) -> tuple[str, ...]:
    return read_ids(value, setting) if isinstance(value, str) else value
