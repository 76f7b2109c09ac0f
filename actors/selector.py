"""The class-level actor: reads one class's features, runs a selector on it, writes one file."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import ray
from jaxtyping import Float
from ray.actor import ActorHandle

from actors.polish_unit import PolishUnit, polish_unit
from actors.reporter import Reporter, this_worker
from actors.selection_unit import SelectionUnit, select_unit
from actors.units import UnitChanges, progress_of
from otcondense.selection.watch import Moment, Watcher
from otcondense.store import (
    ClassFeatures,
    FeatureView,
    Store,
    read_class_difficulties,
    with_confidences,
    write_class_selection,
)


class ClassSelector:
    """A long-lived worker that selects one class after another.

    Running a unit again writes the same bytes.

    Args:
        root: root of the run.
        features: what the selection sees of the features of all classes.
        confidence_directory: directory of their confidences; None to select without.
        board: the actor that mirrors progress; None for no reports.
        watcher_of: returns what watches a unit, by the name of the unit; None reports to the board.
    """

    def __init__(
        self,
        root: str,
        features: FeatureView,
        confidence_directory: str | None,
        board: ActorHandle[Any] | None = None,
        watcher_of: Callable[[str], Watcher] | None = None,
    ) -> None:
        self._store = Store(root)
        self._view = features
        self._confidence_directory = confidence_directory
        self._watcher_of = watcher_of or partial(Reporter, board)

    def run(self, unit: SelectionUnit | PolishUnit) -> UnitChanges:
        """Select or polish one class and return the progress of its finished selection."""
        watcher = self._watcher_of(unit.name)
        watcher(Moment("read"))
        if isinstance(unit, PolishUnit):
            changes = polish_unit(self._store, unit, self._features, watcher)
            return {**changes, "worker": this_worker()}
        features = self._features(unit.class_name)
        difficulty = self._difficulty(unit, features)

        selection = select_unit(self._store, unit, features, difficulty, watcher)
        write_class_selection(self._store, unit.directory, selection, fingerprint=unit.fingerprint)
        return {**progress_of(selection.summary), "worker": this_worker()}

    def _features(self, class_name: str) -> ClassFeatures:
        features = self._view.read(self._store, class_name)
        if self._confidence_directory == self._view.first:
            return features
        return with_confidences(self._store, features, self._confidence_directory)

    def _difficulty(
        self, unit: SelectionUnit, features: ClassFeatures
    ) -> Float[np.ndarray, " n"] | None:
        if unit.difficulty_directory is None:
            return None
        return read_class_difficulties(
            self._store, unit.difficulty_directory, unit.class_name, features.image_ids
        )


SelectorActor = ray.remote(ClassSelector)
