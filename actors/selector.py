"""The class-level actor: reads one class's features, runs a selector on it, writes one file."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
from jaxtyping import Float
from ray.actor import ActorHandle

from actors.reporter import Reporter, this_worker
from actors.units import UnitChanges, progress_of
from otcondense.errors import InputError
from otcondense.selection import SELECTORS
from otcondense.selection.base import Selector
from otcondense.selection.diagnostics import as_json
from otcondense.selection.watch import Moment, Watcher, nobody
from otcondense.store import (
    ClassFeatures,
    ClassSelection,
    SelectionSummary,
    Store,
    read_class_difficulties,
    read_class_features,
    with_confidences,
    write_class_selection,
)

IMAGE_SETTINGS = ("include", "exclude")
"""Settings of a selector that name images of its class."""
SEED_BYTES = 4
"""Bytes of the hash in the seed of a class: scikit-learn takes no seed of 2**32 or more."""


@dataclass(frozen=True)
class SelectionUnit:
    """The selection of one class by one method."""

    name: str
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


def class_seed(seed: int, class_name: str) -> int:
    """Return the seed of one class; it depends on nothing but the arguments."""
    digest = hashlib.sha256(f"{seed}/{class_name}".encode()).digest()
    return int.from_bytes(digest[:SEED_BYTES])


def run_selector(
    method: str,
    settings: dict[str, Any],
    features: ClassFeatures,
    watcher: Watcher = nobody,
    difficulty: Float[np.ndarray, " n"] | None = None,
) -> ClassSelection:
    """Run one selector on one class.

    Args:
        method: name in `SELECTORS`.
        settings: keyword arguments of the selector, with `budget` and `seed`; `include` and
            `exclude` hold image_ids.
        features: the class.
        watcher: called at every step; an exception that it raises ends the selection.
        difficulty: score of each image, for the methods that use one.
    """
    arguments = dict(settings)
    for name in IMAGE_SETTINGS:
        if name in settings:
            arguments[name] = _positions(features, settings[name])
    arguments["seed"] = class_seed(settings.get("seed", 0), features.class_name)

    selector = SELECTORS[method](**arguments)
    selector.watch(watcher).fit(
        features.features,
        cross_entropy=features.cross_entropy,
        logits=features.logits,
        difficulty=difficulty,
    )
    return ClassSelection(
        class_name=features.class_name,
        class_index=features.class_index,
        image_ids=features.image_ids,
        indices=np.asarray(selector.indices_),
        represented_mass=selector.represented_mass_,
        assignment=selector.assignment_,
        cross_entropy=features.cross_entropy,
        sha256=features.sha256,
        gain=_gains(selector),
        summary=_summary(selector),
    )


def _positions(features: ClassFeatures, image_ids: list[str]) -> list[int]:
    """Return the positions of images in their class.

    Raises: InputError naming an image that the class does not have.
    """
    rows = {image_id: row for row, image_id in enumerate(features.image_ids)}
    missing = [image_id for image_id in image_ids if image_id not in rows]
    if missing:
        raise InputError(
            f"class {features.class_name} must hold the images to include or exclude, "
            f"found no {missing[0]}"
        )
    return [rows[image_id] for image_id in image_ids]


def _gains(selector: Selector) -> Float[np.ndarray, " budget"]:
    """Return the decrease of the objective when each chosen image was added; nan if unknown."""
    gains: dict[int, float] = {}
    previous = float("nan")
    for step in selector.history_:
        gains[step.added] = previous - step.objective
        previous = step.objective
    return np.array([gains.get(int(index), float("nan")) for index in selector.indices_])


def _summary(selector: Selector) -> SelectionSummary:
    return SelectionSummary(
        objective=_finite(selector.objective_),
        lower_bound=_finite(selector.lower_bound_),
        swap_optimal=bool(getattr(selector, "swap_optimal_", False)),
        terms=selector.terms_,
        history=tuple(selector.history_),
        diagnostics=as_json(selector.diagnostics_),
        left_out_share=float((selector.assignment_ < 0).mean()),
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


class ClassSelector:
    """A long-lived worker that selects one class after another.

    Running a unit again writes the same bytes.

    Args:
        root: root of the run.
        features_directory: directory of the features of all classes.
        confidence_directory: directory of their confidences; None to select without.
        board: the actor that mirrors progress; None for no reports.
    """

    def __init__(
        self,
        root: str,
        features_directory: str,
        confidence_directory: str | None,
        board: ActorHandle[Any] | None = None,
    ) -> None:
        self._store = Store(root)
        self._features_directory = features_directory
        self._confidence_directory = confidence_directory
        self._board = board

    def run(self, unit: SelectionUnit) -> UnitChanges:
        """Select one class and return the progress of its finished selection."""
        reporter = Reporter(self._board, unit.name)
        reporter(Moment("read"))
        features = self._features(unit.class_name)
        difficulty = self._difficulty(unit, features)

        selection = run_selector(unit.method, unit.settings, features, reporter, difficulty)

        write_class_selection(self._store, unit.directory, selection, fingerprint=unit.fingerprint)
        return {**progress_of(selection.summary), "worker": this_worker()}

    def _features(self, class_name: str) -> ClassFeatures:
        features = read_class_features(self._store, self._features_directory, class_name)
        if self._confidence_directory == self._features_directory:
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
