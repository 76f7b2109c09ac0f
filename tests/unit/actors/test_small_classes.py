"""Selection files of classes that are hardly larger than the budget, or of equal images."""

from typing import Any

import numpy as np
import pytest

from actors.class_selection import run_selector
from otcondense.selection import SELECTORS
from otcondense.store import (
    ClassFeatures,
    Store,
    read_class_selection,
    write_class_selection,
)


def features(size: int, *, equal: bool) -> ClassFeatures:
    rows = np.random.default_rng(size).normal(size=(size, 4)).astype(np.float32)
    if equal:
        rows[:] = rows[0]
    ids = [f"c/{number:03}.png" for number in range(size)]
    entropy = np.full(size, 0.5, dtype=np.float32)
    ones = np.ones(size, dtype=np.int32)
    return ClassFeatures("c", 0, ids, rows, None, entropy, entropy, entropy, ones, ones, ids)


@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize("size", [5, 6, 9])
@pytest.mark.parametrize("method", SELECTORS)
def test_the_selection_is_written_and_read_back(
    method: str, size: int, *, equal: bool, tmp_path
) -> None:
    settings: dict[str, Any] = {"budget": 5, "small_class": "take_all", "seed": 0}
    if method == "geometry_aware":
        settings |= {"kappa": 1.5, "rebuilds": 0}
    selection = run_selector(
        method, settings, features(size, equal=equal), difficulty=np.arange(size) / 7
    )
    store = Store(str(tmp_path))
    write_class_selection(store, "selection", selection, fingerprint="x")
    read = read_class_selection(store, "selection", "c")
    assert len(set(read.indices.tolist())) == 5
    if method == "geometry_aware" and size == 6:
        assert read.summary.diagnostics["lowered_kappa"] == 1.0
        assert read.summary.swap_optimal
