"""Logits of any size keep their probabilities in float16."""

import numpy as np
import pytest
from scipy.special import softmax

from otcondense.store import (
    ClassConfidences,
    ClassFeatures,
    Store,
    read_class_features,
    with_confidences,
    write_class_confidences,
    write_class_features,
)
from otcondense.store.logits import stored_logits

ROWS = [
    [1.0, 2.0, -3.0],
    [65_504.0, 0.0, -65_504.0],
    [65_520.0, 65_519.0, 0.0],
    [1e6, 1e6 - 1, -1e6],
    [-1e5, -1e5 - 2, -2e5],
    [3e38, -3e38, 0.0],
]


@pytest.mark.parametrize("row", ROWS)
def test_probabilities_survive_storing(row: list[float]) -> None:
    logits = np.array([row, [0.5, 0.25, 0.0]], dtype=np.float32)
    stored = stored_logits(logits)
    assert stored.dtype == np.float16
    assert np.isfinite(stored).all()
    expected = softmax(logits.astype(np.float64), axis=1)
    assert softmax(stored.astype(np.float64), axis=1) == pytest.approx(expected, abs=1e-3)


def test_logits_within_the_range_are_only_rounded() -> None:
    logits = np.random.default_rng(0).normal(scale=1e4, size=(50, 7)).astype(np.float32)
    assert (stored_logits(logits) == logits.astype(np.float16)).all()


def test_files_hold_finite_logits(tmp_path) -> None:
    store = Store(str(tmp_path))
    logits = np.array(ROWS, dtype=np.float32)
    ids = [f"a/{row}" for row in range(len(ROWS))]
    ones = np.ones(len(ROWS), dtype=np.float32)
    sizes = np.ones(len(ROWS), dtype=np.int32)
    features = ClassFeatures(
        "a", 0, ids, ones[:, None], logits, ones, ones, ones, sizes, sizes, ids
    )
    write_class_features(store, "features", features, fingerprint="x")
    assert np.isfinite(read_class_features(store, "features", "a").logits).all()

    confidences = ClassConfidences("a", 0, ids, logits, ones, ones, ones)
    write_class_confidences(store, "confidences", confidences, fingerprint="x")
    assert np.isfinite(with_confidences(store, features, "confidences").logits).all()
