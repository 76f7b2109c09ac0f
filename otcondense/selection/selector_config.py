"""Parameters that every selector has."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Int
from pydantic import Field, model_validator

from otcondense.config import Config
from otcondense.errors import InputError


class SelectorConfig(Config):
    """Parameters of every selector, as validated values.

    Examples
    --------
    >>> from otcondense.selection import HerdingSelector
    >>> HerdingSelector(budget=3, include=[7]).config.include
    (7,)
    """

    budget: int = Field(default=10, ge=1)
    """Number of images to choose from the class."""
    seed: int = Field(default=0, ge=0)
    """Seed of every random draw of the selector; deterministic selectors ignore it."""
    small_class: Literal["error", "take_all"] = "error"
    """Class with fewer images than the budget: error refuses it, take_all takes all of it."""
    include: tuple[int, ...] = ()
    """Indices of images that must be chosen; they come first, in this order."""
    exclude: tuple[int, ...] = ()
    """Indices of images that must not be chosen; they still count as part of the class."""

    @model_validator(mode="after")
    def _check_forced(self) -> "SelectorConfig":
        for name in ("include", "exclude"):
            indices = getattr(self, name)
            if len(set(indices)) != len(indices) or any(index < 0 for index in indices):
                raise ValueError(f"{name} must hold distinct indices >= 0, found {indices}")
        both = sorted(set(self.include) & set(self.exclude))
        if both:
            raise ValueError(f"include and exclude must not overlap, found {both} in both")
        if len(self.include) > self.budget:
            raise ValueError(
                f"include must hold at most budget ({self.budget}) indices, found "
                f"{len(self.include)}"
            )
        return self


def check_indices(config: SelectorConfig, size: int) -> None:
    """Check `include` and `exclude` against a class of `size` images.

    Raises: InputError for an index outside the class, or if no image is left.
    """
    for name in ("include", "exclude"):
        outside = [index for index in getattr(config, name) if index >= size]
        if outside:
            raise InputError(
                f"{name} must hold indices below the number of images ({size}), found {outside}"
            )
    if len(config.exclude) == size:
        raise InputError(
            f"exclude must leave at least one of {size} images, found all of them excluded"
        )


def check_size(config: SelectorConfig, size: int, budget: int) -> None:
    """Check that `budget` images can be chosen from a class of `size` images.

    Raises: InputError for an index outside the class, or too few images.
    """
    check_indices(config, size)
    if size - len(config.exclude) < budget:
        raise InputError(
            f"exclude must leave at least budget ({budget}) of {size} images, found "
            f"{len(config.exclude)} excluded"
        )


def free_images(config: SelectorConfig, size: int) -> Int[np.ndarray, " m"]:
    """Return the images that are neither included nor excluded, in ascending order."""
    return np.flatnonzero(~barred_images(config, size))


def barred_images(config: SelectorConfig, size: int) -> Bool[np.ndarray, " n"]:
    """Return whether each image is included or excluded, and so not to be chosen freely."""
    barred = np.zeros(size, dtype=bool)
    barred[[*config.include, *config.exclude]] = True
    return barred


def included_first(
    config: SelectorConfig, order: Int[np.ndarray, " m"], budget: int
) -> Int[np.ndarray, " budget"]:
    """Return the included images, then the first of `order` that are not forced."""
    rest = order[~np.isin(order, [*config.include, *config.exclude])]
    return np.concatenate([np.array(config.include, dtype=np.int64), rest])[:budget]


def increasing(budgets: Any) -> list[int]:
    """Return the budgets of nested subsets.

    Raises: InputError unless they are increasing whole numbers >= 1.
    """
    found = list(budgets) if isinstance(budgets, Iterable) else []
    whole = [each for each in found if isinstance(each, (int, np.integer))]
    is_wrong = not found or len(whole) < len(found) or any(isinstance(each, bool) for each in found)
    if is_wrong or whole[0] < 1 or any(b <= a for a, b in pairwise(whole)):
        raise InputError(
            "budgets must be a list of increasing numbers >= 1 such as (10, 50), found "
            f"{tuple(found) or budgets!r}"
        )
    return [int(each) for each in whole]
