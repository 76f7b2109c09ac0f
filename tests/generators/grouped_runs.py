"""Runs with groups, selected in this process: images, features and groups are made up."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from jobs.command.settings import load_config
from jobs.run_directory.marker import write_marker
from jobs.run_directory.run import Run
from otcondense.datasets import list_images
from otcondense.store import (
    ALL_CLASSES,
    ClassFeatures,
    GroupTable,
    sha256_bytes,
    write_class_difficulties,
    write_class_features,
    write_groups,
)
from otcondense.store.difficulties import ClassDifficulties

SIZES = {"a": 30, "b": 18, "c": 5}
MOST = 10
"""Most images of a group: class c is one group."""
DIMENSIONS = 6
QUICK = {"rebuilds": 0, "lower_bound": {"max_iterations": 30, "enumerate_up_to": 0}}
"""Settings of the geometry-aware selector: the search is tested elsewhere."""
HERE: dict[str, Any] = {"pool": {"num_actors": 0}}
"""Settings with which the process that asks for a selection makes it, without Ray."""


def grouped_run(root: Path, labels: str = "keep", **settings: Any) -> Run:
    """Return a run of tiny images with features and groups; nothing is selected yet.

    Args:
        root: folder of images and run.
        labels: of `groups`.
        settings: of the selection.
    """
    if not (root / "images").exists():
        _write_images(root / "images")
    values: dict[str, Any] = {
        "run": str(root / "run"),
        "source": {"path": str(root / "images")},
        "encoder": {"name": "resnet18"},
        "confidence": {"kind": "none"},
        "cluster": {"use_ray": False},
        "scores": {"denoising": {"checkpoint": "scorer"}},
        "groups": {"most": MOST, "labels": labels},
        "selection": {"budget": 8, "small_class": "take_all", **HERE, **settings},
    }
    if labels == "ignore":
        values["selection"] = {"budget": 16, **HERE, **settings}
    made = values["selection"].setdefault("settings", {})
    made["geometry_aware"] = {**QUICK, **made.get("geometry_aware", {})}
    (root / "c.yaml").write_text(yaml.safe_dump(values))
    run = Run(load_config(str(root / "c.yaml"), []))
    write_marker(run)
    _write_features(run)
    write_made_groups(run)
    return run


def _write_images(root: Path) -> None:
    generator = np.random.default_rng(0)
    for name, size in SIZES.items():
        (root / name).mkdir(parents=True)
        for number in range(size):
            pixels = generator.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:02}.png")


def _write_features(run: Run) -> None:
    """Write features of every image, those of each class around its own centre."""
    generator = np.random.default_rng(7)
    for index, name in enumerate(SIZES):
        records = [each for each in list_images(run.config.source) if each.class_name == name]
        ones = np.ones(len(records), dtype=np.int32)
        rows = generator.normal(size=(len(records), DIMENSIONS)) + 3 * index
        features = ClassFeatures(
            class_name=name,
            class_index=index,
            image_ids=[record.image_id for record in records],
            features=rows.astype(np.float32),
            logits=None,
            cross_entropy=None,
            entropy=None,
            max_prob=None,
            width=ones,
            height=ones,
            sha256=[sha256_bytes(Path(record.path).read_bytes()) for record in records],
        )
        directory = run.features_directory(run.config.encoder)
        write_class_features(run.store, directory, features, fingerprint="f")


def write_made_groups(run: Run) -> None:
    """Write groups along the first feature, as the stage `group` would in one task."""
    assert run.config.groups is not None
    directory = run.groups_directory()
    assert directory is not None
    classes = [run.features_view().read(run.store, name) for name in SIZES]
    if run.config.groups.labels == "ignore":
        classes = [_joined(classes)]
    names: list[str] = []
    of: list[str] = []
    sizes: list[int] = []
    distinct: list[int] = []
    for whole in classes:
        for name, rows in _split(whole, run.config.groups.most):
            group = _rows_of(whole, rows, name, len(names))
            write_class_features(run.store, directory, group, fingerprint="g")
            _write_scores(run, group)
            names.append(name)
            of.append(whole.class_name)
            sizes.append(len(rows))
            distinct.append(len(set(group.sha256)))
    write_groups(run.store, directory, GroupTable(names, of, sizes, distinct), fingerprint="g")


def _write_scores(run: Run, group: ClassFeatures) -> None:
    generator = np.random.default_rng(group.class_index)
    values = generator.random(group.size).astype(np.float32)
    scores = ClassDifficulties(group.class_name, group.class_index, group.image_ids, values, {})
    for method in run.config.selection.methods:
        directory = run.selection_difficulties(method)
        if directory is not None:
            write_class_difficulties(run.store, directory, scores, fingerprint="g")


def _joined(classes: list[ClassFeatures]) -> ClassFeatures:
    return replace(
        classes[0],
        class_name=ALL_CLASSES,
        class_index=0,
        image_ids=[image_id for each in classes for image_id in each.image_ids],
        features=np.concatenate([each.features for each in classes]),
        width=np.concatenate([each.width for each in classes]),
        height=np.concatenate([each.height for each in classes]),
        sha256=[digest for each in classes for digest in each.sha256],
    )


def _split(whole: ClassFeatures, most: int) -> Iterator[tuple[str, np.ndarray]]:
    count = -(-whole.size // most)
    if count == 1:
        yield whole.class_name, np.arange(whole.size)
        return
    order = np.argsort(whole.features[:, 0], kind="stable")
    for number, rows in enumerate(np.array_split(order, count), start=1):
        yield f"{whole.class_name}~{number:04}", np.sort(rows)


def _rows_of(whole: ClassFeatures, rows: np.ndarray, name: str, index: int) -> ClassFeatures:
    return replace(
        whole,
        class_name=name,
        class_index=index,
        image_ids=[whole.image_ids[row] for row in rows],
        features=whole.features[rows],
        width=whole.width[rows],
        height=whole.height[rows],
        sha256=[whole.sha256[row] for row in rows],
    )
