"""Selections of several classes, one after another or at the same time."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from otcondense.errors import InputError
from otcondense.selection.base import Selector
from otcondense.selection.budgets import images_in, images_or_share
from otcondense.selection.class_seed import class_seed

ClassBudget = int | np.integer[Any] | float | str
"""Images of a class: a number, or a share such as 0.01 or "1%"."""
SHOWN = 5
"""Classes that an error lists."""


@dataclass(frozen=True)
class ClassJob:
    """The selection of one class, ready to run."""

    label: Hashable
    rows: Int[np.ndarray, " m"]
    """Rows of the class in the whole data, in ascending order."""
    selector: Selector
    arrays: dict[str, NDArray[np.generic] | None]
    """Arguments of `fit`: the rows of the class."""

    def run(self) -> Selector:
        """Return the fitted selector.

        Raises: InputError with the name of the class.
        """
        try:
            return self.selector.fit(**self.arrays)
        except InputError as error:
            raise InputError(f"class {self.label!r}: {error}") from error


def run_jobs(jobs: Sequence[ClassJob], n_jobs: int | None) -> list[Selector]:
    """Return the fitted selectors in the order of the jobs.

    Several processes need joblib; without it, the jobs run one after another. The result is the
    same.

    Raises: InputError for a number of processes that is 0 or no whole number.
    """
    is_number = isinstance(n_jobs, (int, np.integer)) and not isinstance(n_jobs, bool)
    if n_jobs is not None and (not is_number or n_jobs == 0):
        raise InputError(
            f"n_jobs must be a number of processes, or -1 for one per CPU, found {n_jobs!r}"
        )
    if n_jobs in (None, 1) or len(jobs) == 1 or find_spec("joblib") is None:
        return [job.run() for job in jobs]
    from joblib import Parallel, delayed

    return list(Parallel(n_jobs=n_jobs)(delayed(ClassJob.run)(job) for job in jobs))


def class_clone(
    selector: Selector, label: Hashable, rows: Int[np.ndarray, " m"], budget: int
) -> Selector:
    """Return an unfitted selector with the parameters of another one, for one class.

    Its seed is that of the class, and its `include` and `exclude` hold places within the class.
    """
    params: dict[str, Any] = {
        **selector.get_params(),
        "budget": budget,
        "seed": class_seed(selector.config.seed, str(label)),
        "include": _places(selector.config.include, rows),
        "exclude": _places(selector.config.exclude, rows),
    }
    return type(selector)(**params)


def _places(wanted: Sequence[int], rows: Int[np.ndarray, " m"]) -> tuple[int, ...]:
    """Return the places in `rows` of those of the wanted rows that are there."""
    place = {row: number for number, row in enumerate(rows.tolist())}
    return tuple(place[row] for row in wanted if row in place)


def class_budgets(
    budget: ClassBudget | Mapping[Hashable, ClassBudget], sizes: Mapping[Hashable, int]
) -> dict[Hashable, int]:
    """Return the number of images of each class.

    A share is rounded to the nearest number, halves up, and is at least 1.

    Raises: InputError for no number or share, or a mapping that does not name every class once.
    """
    if not isinstance(budget, Mapping):
        return {label: _of_class(budget, size, "budget") for label, size in sizes.items()}
    missing = [label for label in sizes if label not in budget]
    surplus = [label for label in budget if label not in sizes]
    if missing or surplus:
        raise InputError(
            "budget must name every class once; "
            f"missing: {missing[:SHOWN]}, not in y: {surplus[:SHOWN]}"
        )
    numbers: dict[Hashable, int] = {}
    for label, size in sizes.items():
        numbers[label] = _of_class(budget[label], size, f"budget[{label!r}]")
    return numbers


def _of_class(budget: ClassBudget, size: int, name: str) -> int:
    wanted = images_or_share(budget)
    if wanted is None:
        raise InputError(
            f"{name} must be a number of images >= 1, or a share of the class such as 0.01 or "
            f'"1%", found {budget!r}'
        )
    return wanted if isinstance(wanted, int) else images_in(wanted, size)
