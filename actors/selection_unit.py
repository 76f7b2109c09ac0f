"""The unit of the selection, one class for one subset, and its work."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float

from actors.class_selection import run_selector
from actors.reduced_class import CopyRules, DuplicatePolicy
from otcondense.errors import MissingInputError
from otcondense.selection.watch import Watcher, nobody
from otcondense.store import (
    ClassFeatures,
    ClassSelection,
    Store,
    read_class_selection,
    read_fingerprint,
    read_table,
    selection_file,
    stored_metadata,
)


@dataclass(frozen=True)
class SmallerSubset:
    """A selection of the class that a larger one holds."""

    budget: int
    directory: str
    """Directory of the selection, relative to the run."""
    fingerprint: str
    """Fingerprint of the selection."""


@dataclass(frozen=True)
class SelectionUnit:
    """The selection of one class for one subset."""

    name: str
    subset: str
    """Name of the subset."""
    method: str
    """Name in `SELECTORS`."""
    class_name: str
    size: int
    """Images in the class."""
    settings: dict[str, Any]
    """Keyword arguments of the selector, as JSON values."""
    difficulty_directory: str | None
    """Directory of the difficulty scores, relative to the run; None for methods without."""
    directory: str
    """Directory of the result, relative to the run."""
    fingerprint: str
    """Fingerprint of the result."""
    smaller: tuple[SmallerSubset, ...] = ()
    """Selections that this one holds, the smallest first."""
    duplicates: DuplicatePolicy = "keep"
    """What to do about copies."""
    near_copies: float = 0.0
    """Threshold of near copies, as a share of the usual distance to a neighbour."""
    held_out_hashes: str | None = None
    """File of the hashes of the held-out images; None to compare with none."""
    refuses_held_out: bool = False
    """Whether an image that is also held out is an error; it is left out otherwise."""

    @property
    def results(self) -> "tuple[SelectionUnit, ...]":
        """The selections that the unit writes: itself."""
        return (self,)

    def rules(self, store: Store) -> CopyRules:
        """Return what to do about copies.

        Raises: MissingInputError without the hashes of held-out images.
        """
        held_out: frozenset[str] = frozenset()
        if self.held_out_hashes is not None:
            held_out = _read_hashes(store, self.held_out_hashes)
        return CopyRules(self.duplicates, self.near_copies, held_out, self.refuses_held_out)


def select_unit(
    store: Store,
    unit: SelectionUnit,
    features: ClassFeatures,
    difficulty: Float[np.ndarray, " n"] | None = None,
    watcher: Watcher = nobody,
) -> ClassSelection:
    """Return the selection of a unit.

    Nested subsets are chosen one after another, as `fit_path` does. The work goes on from the
    largest smaller one that is finished.

    Args:
        store: the run.
        unit: the unit.
        features: of its class.
        difficulty: score of each image, for the methods that use one.
        watcher: called at every step; an exception that it raises ends the selection.

    Raises: InputError as `run_selector`, MissingInputError without the hashes of held-out images.
    """
    return _Choice(store, features, unit, unit.rules(store), difficulty, watcher).whole()


@dataclass(frozen=True)
class _Choice:
    """The work of one unit."""

    store: Store
    features: ClassFeatures
    unit: SelectionUnit
    rules: CopyRules
    difficulty: Float[np.ndarray, " n"] | None
    watcher: Watcher

    def whole(self) -> ClassSelection:
        """Return the selection, which goes on from the largest smaller one that is finished."""
        smaller = self.unit.smaller
        finished = [each for each in smaller if self._is_finished(each)]
        include = list(self.unit.settings.get("include", []))
        if finished:
            directory, name = finished[-1].directory, self.unit.class_name
            include = _chosen_ids(read_class_selection(self.store, directory, name))
        for each in smaller[smaller.index(finished[-1]) + 1 :] if finished else smaller:
            include = _chosen_ids(self._select(each.budget, include))
        return self._select(self.unit.settings["budget"], include)

    def _is_finished(self, smaller: SmallerSubset) -> bool:
        name = selection_file(smaller.directory, self.unit.class_name)
        return read_fingerprint(self.store, name) == smaller.fingerprint

    def _select(self, budget: int, include: list[str]) -> ClassSelection:
        settings = {**self.unit.settings, "budget": budget, "include": include}
        return run_selector(
            self.unit.method, settings, self.features, self.watcher, self.difficulty, self.rules
        )


def _chosen_ids(selection: ClassSelection) -> list[str]:
    return [selection.image_ids[index] for index in selection.indices]


@lru_cache(maxsize=1)
def _hashes_of(store: Store, name: str, _content: str) -> frozenset[str]:
    """Return the hashes in a file; a worker reads them once for all of its classes."""
    return frozenset(read_table(store, name).column("sha256").to_pylist())


def _read_hashes(store: Store, name: str) -> frozenset[str]:
    metadata = stored_metadata(store, name)
    if metadata is None:
        raise MissingInputError(f"{store.path(name)} is missing or damaged", file=name)
    return _hashes_of(store, name, metadata["content"])
