"""Selections of given features: classes of about two seconds each, and no images."""

import shutil
from pathlib import Path

import numpy as np
import yaml

from tests.verbs import call

CLASSES, IMAGES, WIDTH, BUDGET = 6, 700, 32, 12
SETTINGS = {"geometry_aware": {"rebuilds": 20}}
"""So many rebuilds that a class takes longer than the second between two looks at the workers."""


def write_features(root: Path) -> None:
    """Write the features of all classes below `root`."""
    generator = np.random.default_rng(0)
    np.save(
        root / "features.npy", generator.normal(size=(CLASSES * IMAGES, WIDTH)).astype(np.float32)
    )
    np.save(root / "labels.npy", np.repeat(np.arange(CLASSES), IMAGES))


def write_config(root: Path, data: Path) -> Path:
    path = root / "config.yaml"
    config = {
        "run": str(root / "run"),
        "source": {"kind": "features", "path": str(data)},
        "confidence": {"kind": "none"},
        "selection": {
            "budget": BUDGET,
            "methods": ["geometry_aware"],
            "settings": SETTINGS,
            "pool": {"num_actors": 2},
        },
    }
    path.write_text(yaml.safe_dump(config))
    return path


def extracted(root: Path) -> Path:
    """Write the features below `root` and a run that has read them, and return the folder."""
    write_features(root)
    call("extract_features", ["--config", str(write_config(root, root))])
    return root


def prepared(root: Path, data: Path) -> Path:
    """A run of its own whose features are there: those of the run in `data`."""
    shutil.copytree(data / "run", root / "run", dirs_exist_ok=True)
    return write_config(root, data)
