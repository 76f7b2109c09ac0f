"""The class-level actor: reads one class's features, runs a selector on it, writes one file."""

import hashlib
from typing import Any

import numpy as np
import ray

from otcondense.errors import InputError
from otcondense.selection import SELECTORS
from otcondense.selection.base import Selector
from otcondense.store import (
    SELECTION_SCHEMA_VERSION,
    ClassFeatures,
    ClassSelection,
    Store,
    fingerprint,
    read_class_features,
    stored_metadata,
    write_class_selection,
)


def class_seed(seed: int, class_name: str) -> int:
    """Return the seed of one class, the same wherever and whenever the class is selected."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{class_name}".encode()).digest()[:4])


def run_selector(method: str, settings: dict[str, Any], features: ClassFeatures) -> ClassSelection:
    """Run one selector on one class.

    Args:
        method: name in `SELECTORS`.
        settings: keyword arguments of the selector, `budget` and `seed` among them.
        features: the class.
    """
    seed = class_seed(settings.get("seed", 0), features.class_name)
    selector = SELECTORS[method](**{**settings, "seed": seed})
    selector.fit(features.features, cross_entropy=features.cross_entropy, logits=features.logits)
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


def selection_fingerprint(store: Store, features_file: str, method: str, settings: dict[str, Any]) -> str:
    """Return the fingerprint of the selection of one class: of its features' content and of the selector's settings.

    Raises: InputError if the features are missing.
    """
    metadata = stored_metadata(store, features_file)
    if metadata is None:
        raise InputError(f"{store.path(features_file)} is missing or damaged; run `python -m jobs.extract_features` first")
    return fingerprint([SELECTION_SCHEMA_VERSION, method, settings, metadata["content"]])


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


@ray.remote
class ClassSelector:
    """A long-lived worker that selects one class after another; running a unit again writes the same bytes."""

    def __init__(self, root: str, features_directory: str) -> None:
        self._store = Store(root)
        self._features_directory = features_directory

    def run(self, unit: dict[str, Any]) -> dict[str, Any]:
        """Select one class.

        Args:
            unit: `method`, `class_name`, the selector's `settings`, the `directory` of the result and its `fingerprint`.
        """
        features = read_class_features(self._store, self._features_directory, unit["class_name"])
        selection = run_selector(unit["method"], unit["settings"], features)
        write_class_selection(self._store, unit["directory"], selection, fingerprint=unit["fingerprint"])
        return {"objective": selection.summary["objective"], "swap_optimal": selection.summary["swap_optimal"]}
