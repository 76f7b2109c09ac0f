"""Confidences from linear probes on stored features.

The probes are fitted on all classes together; each class gets a file.
"""

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
from otcondense.store import (
    ClassConfidences,
    ClassFeatures,
    FeatureView,
    Store,
    class_file,
    read_fingerprint,
    write_class_confidences,
)
from pipeline.fingerprints import probe_fingerprint


def score_by_probe(
    store: Store,
    features: FeatureView,
    directory: str,
    class_names: list[str],
    config: ProbeConfig,
    stage_fingerprint: str,
) -> bool:
    """Write the confidences of every class.

    All features are held in memory at once, as float64.

    Args:
        store: the run.
        features: those that the selection sees.
        directory: of the confidences.
        class_names: all classes.
        config: settings of the probes.
        stage_fingerprint: of all settings of the stage.

    Returns: whether all confidences were already there, of the same features.

    Raises: InputError if features are missing or there is only one class.
    """
    fingerprint = probe_fingerprint(store, features, class_names, stage_fingerprint)
    files = [class_file(directory, name) for name in class_names]
    if all(read_fingerprint(store, file) == fingerprint for file in files):
        return True

    classes = [features.read(store, name) for name in class_names]
    sizes = [each.size for each in classes]
    labels = np.repeat([each.class_index for each in classes], sizes).astype(np.int64)
    hashes = [sha256 for each in classes for sha256 in each.sha256]
    fold = assign_folds(hashes, labels, config.folds)
    joined = np.concatenate([each.features.astype(np.float32) for each in classes])
    logits = cross_fitted_logits(joined, labels, fold, config)

    for each, part in zip(classes, np.split(logits, np.cumsum(sizes)[:-1]), strict=True):
        confidences = _confidences(each, part)
        write_class_confidences(store, directory, confidences, fingerprint=fingerprint)
    return False


def _confidences(features: ClassFeatures, logits: np.ndarray) -> ClassConfidences:
    values = torch.from_numpy(logits)
    labels = torch.full((features.size,), features.class_index)
    return ClassConfidences(
        class_name=features.class_name,
        class_index=features.class_index,
        image_ids=features.image_ids,
        logits=logits,
        cross_entropy=cross_entropy(values, labels).numpy(),
        entropy=entropy(values).numpy(),
        max_prob=max_prob(values).numpy(),
    )
