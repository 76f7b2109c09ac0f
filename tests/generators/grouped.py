"""Classes with features, confidences and scores in a run, and the plan of their groups."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from otcondense.grouping.config import GroupConfig
from otcondense.store import (
    ClassDifficulties,
    ClassFeatures,
    FeatureView,
    PartOf,
    Store,
    write_class_difficulties,
    write_class_features,
)
from pipeline.group_plan import GroupInputs, GroupPlan, plan_groups

SIZES = {"cat": 130, "dog": 20, "owl": 47}
MOST = 20
CELL_ROWS = 32
"""Classes of more images take a coarse level, and cells of that several."""
FEATURES, CONFIDENCES, SCORES = "features/x-00000000", "scores/probe-1", "scores/aum-2"


def images_of(name: str, size: int) -> ClassFeatures:
    rng = np.random.default_rng(size)
    values = rng.random(size).astype(np.float32)
    return ClassFeatures(
        class_name=name,
        class_index=list(SIZES).index(name),
        image_ids=[f"{name}/{number:04d}.png" for number in range(size)],
        features=rng.normal(size=(size, 6)).astype(np.float32),
        logits=rng.normal(size=(size, 3)).astype(np.float16).astype(np.float32),
        cross_entropy=values,
        entropy=values + 1,
        max_prob=values / 2,
        width=np.arange(size, dtype=np.int32),
        height=np.arange(size, dtype=np.int32) + 1,
        sha256=[f"{name}{number}" for number in range(size)],
    )


def parts_of(features: ClassFeatures, count: int) -> Iterator[ClassFeatures]:
    """The images of a class in parts, every so-and-so-many in one."""
    for number in range(count):
        changes: dict[str, Any] = {"part": PartOf(number, count)}
        for name, values in vars(features).items():
            if isinstance(values, (list, np.ndarray)):
                changes[name] = values[number::count]
        yield replace(features, **changes)


def write_inputs(store: Store, parts: int = 1) -> None:
    for name, size in SIZES.items():
        features = images_of(name, size)
        for part in parts_of(features, parts if size > MOST else 1):
            write_class_features(store, FEATURES, part, fingerprint="f")
        write_class_features(store, CONFIDENCES, features, fingerprint="c")
        scores = np.arange(size, dtype=np.float32)
        facts = {"kind": "aum", "hard": "low"}
        difficulties = ClassDifficulties(name, 0, features.image_ids, scores, facts)
        write_class_difficulties(store, SCORES, difficulties, fingerprint="d")


def plan_of(root: Path, *, cell_rows: int = CELL_ROWS, **settings: Any) -> GroupPlan:
    inputs = GroupInputs(str(root), FeatureView.of(FEATURES), CONFIDENCES, (SCORES,))
    config = GroupConfig(**{"most": MOST, **settings})
    return plan_groups(inputs, "groups/0a1b2c3d", list(SIZES), config, "key", cell_rows)
