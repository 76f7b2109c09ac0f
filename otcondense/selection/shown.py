"""Results of selectors as tables, figures, and pages of notebooks."""

import os
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from otcondense.errors import InputError
from otcondense.history import Step
from otcondense.selection.gap import gap
from otcondense.selection.parameters import Parameters

if TYPE_CHECKING:
    from pandas import DataFrame

Estimator = TypeVar("Estimator", bound="Shown")


@dataclass(frozen=True)
class Chosen:
    """The chosen images, in order of class and choice."""

    index: Int[np.ndarray, " k"]
    """Rows of the data."""
    rank: Int[np.ndarray, " k"]
    gain: Float[np.ndarray, " k"]
    represented_mass: Float[np.ndarray, " k"]
    weight: Float[np.ndarray, " k"]
    """The represented mass times the number of images chosen from the class."""
    label: NDArray[np.generic] | None = None
    """Class of each image; None if there is only one, without a name."""


class Shown(Parameters):
    """An estimator whose results can be looked at."""

    indices_: Int[np.ndarray, " k"]
    assignment_: Int[np.ndarray, " n"]
    objective_: float
    lower_bound_: float
    _images: tuple[str, ...] = ()

    def _clear_results(self) -> None:
        """Remove all results: a fit that fails leaves no subset, its own or an earlier one's."""
        for name in [each for each in vars(self) if each.endswith("_")]:
            delattr(self, name)
        self._images = ()

    @abstractmethod
    def _chosen(self) -> Chosen:
        """Return the chosen images; only called after a fit."""

    @abstractmethod
    def _histories(self) -> dict[str, list[Step]]:
        """Return the steps of each class, by its name; only called after a fit."""

    def _fitted(self) -> Chosen:
        """Return the chosen images.

        Raises: InputError before a fit.
        """
        if not hasattr(self, "indices_"):
            raise InputError(
                f"{type(self).__name__} must be fitted first, found no result; call fit"
            )
        return self._chosen()

    def to_frame(self) -> "DataFrame":
        """Return the chosen images as a table of pandas, in order of class and choice.

        Returns
        -------
        pandas.DataFrame
            `index` (row of the data), `class` (if there are labels), `rank` and `gain` (see
            `gain_`), `represented_mass` (share of the class), `weight` (that share times the number
            of images chosen from the class), and `image` after `with_images`.

        Raises
        ------
        InputError
            Before a fit, or if pandas is not installed.

        Examples
        --------
        >>> from otcondense.selection import KMedoidsSelector
        >>> features = [[0.0], [1.0], [2.0], [10.0], [11.0], [12.0], [13.0]]
        >>> KMedoidsSelector(budget=2).fit(features).to_frame()[["index", "rank"]].values.tolist()
        [[4, 0], [1, 1]]
        """
        chosen = self._fitted()
        if find_spec("pandas") is None:
            raise InputError("to_frame needs pandas, found none; pip install pandas")
        from pandas import DataFrame

        columns: dict[str, Any] = {"index": chosen.index}
        if chosen.label is not None:
            columns["class"] = _column(chosen.label)
        columns |= {
            "rank": chosen.rank,
            "gain": chosen.gain,
            "represented_mass": chosen.represented_mass,
            "weight": chosen.weight,
        }
        if self._images:
            columns["image"] = _column([self._images[row] for row in chosen.index])
        return DataFrame(columns)

    def with_images(self: Estimator, paths: Iterable[str | Path]) -> Estimator:
        """Say which file each image is, for tables and notebooks; the next fit forgets it.

        Parameters
        ----------
        paths : iterable of str or path, [n]
            Files on this machine, in the order of the rows of the data.

        Returns
        -------
        Selector or ClassSelector
            The object itself.

        Raises
        ------
        InputError
            Before a fit, or for another number of paths than of images.
        """
        self._fitted()
        size = len(self.assignment_)
        files = _files(paths)
        if len(files) != size:
            raise InputError(f"paths must have one file per image ({size}), found {len(files)}")
        self._images = files
        return self

    def plot(self, features: Any = None) -> Any:
        """Draw the objective after each step and, if features are given, a map of the class.

        The map shows the two directions of largest variance, the chosen images, and those that are
        left out. It needs plotly.

        Parameters
        ----------
        features : array of numbers, [n, d], or None
            The data of the fit.

        Returns
        -------
        plotly.graph_objects.Figure
            The figure, which notebooks show.

        Raises
        ------
        InputError
            Before a fit, for features of another number of images, or if plotly is not installed.
        """
        chosen = self._fitted()
        if find_spec("plotly") is None:
            raise InputError("plot needs plotly, found none; pip install plotly")
        from otcondense.selection.figures import history_and_map, history_figure

        histories = self._histories()
        if features is None:
            return history_figure(histories, self.lower_bound_)
        return history_and_map(
            histories, self.lower_bound_, features, chosen.index, self.assignment_
        )

    def _repr_html_(self) -> str:
        """Return the object for notebooks: parameters, result, thumbnails if files are known."""
        from otcondense.selection.notebook import as_html, facts_of

        call = Parameters.__repr__(self)
        if not hasattr(self, "indices_"):
            return as_html(call, (), ())
        facts = facts_of(
            len(self.indices_),
            len(self.assignment_),
            self.objective_,
            gap(self.objective_, self.lower_bound_),
            int((self.assignment_ < 0).sum()),
        )
        files = [self._images[row] for row in self.indices_.tolist()] if self._images else []
        return as_html(call, facts, files)


def _column(values: Sequence[Any] | NDArray[np.generic]) -> Any:
    """Return a column of a table; names that are not UTF-8 stay Python's texts, not Arrow's."""
    from pandas import Series

    try:
        "".join(map(str, values)).encode()
    except UnicodeEncodeError:
        return Series(list(values), dtype=object)
    return values


def _files(paths: Iterable[str | Path]) -> tuple[str, ...]:
    """Return paths as texts.

    Raises: InputError for one text, or anything else that is no list of paths.
    """
    if isinstance(paths, (str, bytes, Path)) or not isinstance(paths, Iterable):
        raise InputError(f"paths must be a list with a path for each image, found {paths!r}")
    files = []
    for each in paths:
        if not isinstance(each, (str, bytes, os.PathLike)):
            raise InputError(f"paths must hold texts or paths, found {each!r}")
        files.append(os.fsdecode(each))
    return tuple(files)
