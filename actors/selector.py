"""The class-level actor: reads one class's features, runs a selector on it, writes one file."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import ray
from jaxtyping import Float
from ray.actor import ActorHandle

from actors.reporter import Reporter, this_worker
from otcondense.errors import InputError
from otcondense.selection import SELECTORS, Moment, Watcher
from otcondense.selection.base import Selector
from otcondense.selection.watch import nobody
from otcondense.store import (
    SELECTION_SCHEMA_VERSION,
    ClassFeatures,
    ClassSelection,
    Store,
    fingerprint,
    read_class_difficulties,
    read_class_features,
    selection_measures,
    stored_metadata,
    with_confidences,
    write_class_selection,
)

IMAGE_SETTINGS = ("include", "exclude")
"""Settings of a selector that name images of its class."""


def class_seed(seed: int, class_name: str) -> int:
    """Return the seed of one class, the same wherever and whenever the class is selected."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{class_name}".encode()).digest()[:4])


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
        settings: keyword arguments of the selector, `budget` and `seed` among them; `include` and `exclude` as image_ids.
        features: the class.
        watcher: is told of every step; what it raises ends the selection.
        difficulty: score of each image, for the methods that go by it.
    """
    own = {
        name: _positions(features, image_ids)
        for name, image_ids in settings.items()
        if name in IMAGE_SETTINGS
    }
    seed = class_seed(settings.get("seed", 0), features.class_name)
    selector = SELECTORS[method](**{**settings, **own, "seed": seed})
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
    """Return where the images are in their class.

    Raises: InputError naming an image that the class does not have.
    """
    rows = {image_id: row for row, image_id in enumerate(features.image_ids)}
    missing = [image_id for image_id in image_ids if image_id not in rows]
    if missing:
        raise InputError(
            f"class {features.class_name} must hold the images to include or exclude, found no {missing[0]}"
        )
    return [rows[image_id] for image_id in image_ids]


def selection_fingerprint(
    store: Store, inputs: Sequence[str], method: str, settings: dict[str, Any]
) -> str:
    """Return the fingerprint of the selection of one class: of the content of its input files and of the selector's settings.

    Args:
        store: the run.
        inputs: names of the class's features and, where they lie elsewhere, of its confidences.
        method: name in `SELECTORS`.
        settings: keyword arguments of the selector that can change the result.

    Raises: InputError if an input is missing.
    """
    contents = []
    for name in inputs:
        metadata = stored_metadata(store, name)
        if metadata is None:
            verb = (
                "score"
                if name.startswith(("scores/denoising", "scores/aum"))
                else "extract_features"
            )
            raise InputError(
                f"{store.path(name)} is missing or damaged; run `python -m jobs.{verb}` first"
            )
        contents.append(metadata["content"])
    return fingerprint([SELECTION_SCHEMA_VERSION, method, settings, *contents])


def _gains(selector: Selector) -> np.ndarray:
    """Return by how much the objective fell when each chosen image came in; nan where the selector does not say."""
    gains = dict[int, float]()
    previous = float("nan")
    for step in selector.history_:
        if "added" in step:
            gains[int(step["added"])] = previous - step["objective"]
        previous = step["objective"]
    return np.array([gains.get(int(index), float("nan")) for index in selector.indices_])


def _summary(selector: Selector) -> dict[str, Any]:
    return {
        "objective": _finite(selector.objective_),
        "lower_bound": _finite(selector.lower_bound_),
        "swap_optimal": bool(getattr(selector, "swap_optimal_", False)),
        "terms": selector.terms_,
        "history": selector.history_,
        "diagnostics": selector.diagnostics_,
        "left_out_share": float((selector.assignment_ < 0).mean()),
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


class ClassSelector:
    """A long-lived worker that selects one class after another; running a unit again writes the same bytes.

    Args:
        root: of the run.
        features_directory: where the features of all classes are.
        confidence_directory: where their confidences are, None to select without.
        board: the actor that mirrors progress, None for none.
    """

    def __init__(
        self,
        root: str,
        features_directory: str,
        confidence_directory: str | None,
        board: ActorHandle | None = None,
    ) -> None:
        self._store = Store(root)
        self._features_directory = features_directory
        self._confidence_directory = confidence_directory
        self._board = board

    def run(self, unit: dict[str, Any]) -> dict[str, Any]:
        """Select one class.

        Args:
            unit: `name`, `method`, `class_name`, the selector's `settings`, where its `difficulty` scores are (or None), the `directory` of
                the result and its `fingerprint`.

        Returns: what is known of the selection, by the names of `UnitProgress`.
        """
        reporter = Reporter(self._board, unit["name"])
        reporter(Moment("read"))
        features = read_class_features(self._store, self._features_directory, unit["class_name"])
        if self._confidence_directory != self._features_directory:
            features = with_confidences(self._store, features, self._confidence_directory)
        scores = unit["difficulty"]
        difficulty = (
            None
            if scores is None
            else read_class_difficulties(
                self._store, scores, unit["class_name"], features.image_ids
            )
        )
        selection = run_selector(unit["method"], unit["settings"], features, reporter, difficulty)
        write_class_selection(
            self._store, unit["directory"], selection, fingerprint=unit["fingerprint"]
        )
        return {**progress_of(selection.summary), "worker": this_worker()}


def progress_of(summary: dict[str, Any]) -> dict[str, Any]:
    """Return what the summary of a selection says, by the names of `UnitProgress`."""
    measures = selection_measures(summary)
    return {
        "objective": measures.get("objective"),
        "swaps": int(measures.get("swaps", 0)),
        "measures": measures,
        "step": "",
    }


SelectorActor = ray.remote(ClassSelector)
