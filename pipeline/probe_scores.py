"""Confidences from linear probes on stored features: all classes are fitted together and written one file each."""

import numpy as np
import torch

from otcondense.encoders import (
    ProbeConfig,
    assign_folds,
    cross_entropy,
    cross_fitted_logits,
    entropy,
    max_prob,
)
from otcondense.errors import MissingInputError
from otcondense.store import (
    ClassConfidences,
    ClassFeatures,
    Store,
    class_file,
    read_class_features,
    read_fingerprint,
    stored_metadata,
    write_class_confidences,
)
from otcondense.store import fingerprint as fingerprint_of


def score_by_probe(
    store: Store,
    features: str,
    directory: str,
    class_names: list[str],
    config: ProbeConfig,
    fingerprint: str,
) -> bool:
    """Write the confidences of every class to `directory`, from the features in the directory `features`.

    All features are held in memory at once, as float64. `fingerprint` stands for all settings of the stage.

    Returns: whether they were all there already, made from the same features.

    Raises: InputError if features are missing or there is but one class.
    """
    mark = probe_fingerprint(store, features, class_names, fingerprint)
    if all(read_fingerprint(store, class_file(directory, name)) == mark for name in class_names):
        return True
    classes = [read_class_features(store, features, name) for name in class_names]
    starts = np.cumsum([0, *(each.size for each in classes)])
    labels = np.repeat([each.class_index for each in classes], np.diff(starts)).astype(np.int64)
    fold = assign_folds(
        [content for each in classes for content in each.sha256], labels, config.folds
    )
    joined = np.concatenate([each.features.astype(np.float32) for each in classes])
    logits = cross_fitted_logits(joined, labels, fold, config)
    for each, start in zip(classes, starts, strict=False):
        write_class_confidences(
            store,
            directory,
            _confidences(each, logits[start : start + each.size]),
            fingerprint=mark,
        )
    return False


def probe_fingerprint(store: Store, features: str, class_names: list[str], fingerprint: str) -> str:
    """Return the fingerprint of the confidences of every class: of the content of all features, and of the settings.

    Raises: InputError if features are missing.
    """
    return fingerprint_of(
        [fingerprint, *(_content(store, class_file(features, name)) for name in class_names)]
    )


def _content(store: Store, name: str) -> str:
    metadata = stored_metadata(store, name)
    if metadata is None:
        raise MissingInputError(f"{store.path(name)} is missing or damaged", name)
    return str(metadata["content"])


def _confidences(features: ClassFeatures, logits: np.ndarray) -> ClassConfidences:
    values, labels = torch.from_numpy(logits), torch.full((features.size,), features.class_index)
    return ClassConfidences(
        class_name=features.class_name,
        class_index=features.class_index,
        image_ids=features.image_ids,
        logits=logits,
        cross_entropy=cross_entropy(values, labels).numpy(),
        entropy=entropy(values).numpy(),
        max_prob=max_prob(values).numpy(),
    )
