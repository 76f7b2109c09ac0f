"""One selector on one class."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from actors.reduced_class import CopyRules, ReducedClass, reduce_class
from otcondense.errors import InputError
from otcondense.selection import SELECTORS
from otcondense.selection.base import Selector
from otcondense.selection.class_seed import class_seed
from otcondense.selection.diagnostics import as_json
from otcondense.selection.watch import Watcher, nobody
from otcondense.store import ClassFeatures, ClassSelection, SelectionSummary

KEEP_ALL = CopyRules()
"""Copies are images like all others."""


def run_selector(
    method: str,
    settings: dict[str, Any],
    features: ClassFeatures,
    watcher: Watcher = nobody,
    difficulty: Float[np.ndarray, " n"] | None = None,
    rules: CopyRules = KEEP_ALL,
) -> ClassSelection:
    """Run one selector on one class.

    Args:
        method: name in `SELECTORS`.
        settings: keyword arguments of the selector, with `budget` and `seed`; `include` and
            `exclude` hold image_ids.
        features: the class.
        watcher: called at every step; an exception that it raises ends the selection.
        difficulty: score of each image, for the methods that use one.
        rules: what to do about copies; by default all images are candidates.

    Raises: InputError naming the class if it has too few images, or not those of the settings.
    """
    prepared = PreparedClass.of(features, settings, rules)
    selector = prepared.selector(method).watch(watcher)
    selector.fit(**prepared.data(), difficulty=_rows(difficulty, prepared.reduced.rows))
    return prepared.selection(selector)


@dataclass(frozen=True)
class PreparedClass:
    """A class as a selector sees it, and the way back to all of its images."""

    features: ClassFeatures
    reduced: ReducedClass
    settings: dict[str, Any]
    """Keyword arguments of the selector; `include` and `exclude` hold places in `reduced.rows`."""

    @classmethod
    def of(
        cls, features: ClassFeatures, settings: dict[str, Any], rules: CopyRules
    ) -> "PreparedClass":
        """Find copies, held-out images and those that must or must not be chosen.

        Raises: InputError as `run_selector`.
        """
        include = _positions(features, settings.get("include", []))
        exclude = _positions(features, settings.get("exclude", []))
        reduced = reduce_class(features, rules, include, exclude)
        _check_candidates(features, reduced, settings)
        arguments = {**settings, "include": reduced.include, "exclude": reduced.exclude}
        arguments["seed"] = class_seed(settings.get("seed", 0), features.class_name)
        return cls(features, reduced, arguments)

    def selector(self, method: str) -> Selector:
        """Return an unfitted selector with the settings."""
        return SELECTORS[method](**self.settings)

    def data(self) -> dict[str, Any]:
        """Return the arguments of `fit` that every class has."""
        rows, features = self.reduced.rows, self.features
        return {
            "features": features.features[rows],
            "cross_entropy": _rows(features.cross_entropy, rows),
            "logits": _rows(features.logits, rows),
        }

    def selection(self, selector: Selector) -> ClassSelection:
        """Return the result of a fitted selector for every image of the class."""
        reduced, features = self.reduced, self.features
        return ClassSelection(
            class_name=features.class_name,
            class_index=features.class_index,
            image_ids=features.image_ids,
            indices=reduced.rows[selector.indices_],
            received_mass=reduced.mass(selector.received_mass_),
            assignment=reduced.assignment(selector.assignment_),
            cross_entropy=features.cross_entropy,
            sha256=features.sha256,
            rank=selector.rank_,
            gain=selector.gain_,
            summary=_summary(selector, reduced),
        )


def _rows(
    values: Float[np.ndarray, "n ..."] | None, rows: Int[np.ndarray, " m"]
) -> Float[np.ndarray, "m ..."] | None:
    return None if values is None else values[rows]


def _check_candidates(
    features: ClassFeatures, reduced: ReducedClass, settings: dict[str, Any]
) -> None:
    """Refuse a class whose images are enough, but not without its copies and held-out images.

    Raises: InputError naming the class and the numbers.
    """
    budget = settings["budget"]
    takes_all = settings.get("small_class") == "take_all"
    if takes_all or not reduced.candidates < budget <= features.size:
        return
    found = reduced.summary
    raise InputError(
        f"selection.budget asks {features.class_name} for {budget} images, but only "
        f"{reduced.candidates} of its {features.size} can be chosen: {found.exact} are exact "
        f"copies, {found.near} near copies, {found.held_out} held-out images, or they are "
        "excluded; lower the budget, or set selection.small_class=take_all or "
        "selection.duplicates=keep"
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


def _summary(selector: Selector, reduced: ReducedClass) -> SelectionSummary:
    return SelectionSummary(
        objective=_finite(selector.objective_),
        lower_bound=_finite(selector.lower_bound_),
        swap_optimal=bool(getattr(selector, "swap_optimal_", False)),
        terms=selector.terms_,
        history=reduced.history(selector.history_),
        diagnostics=as_json(selector.diagnostics_),
        left_out_share=float((selector.assignment_ < 0).mean()),
        copies=reduced.summary,
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
