"""The demo at tiny size: three classes of real digits, two dozen steps."""

import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from otcondense.datasets.digits import write_digits

CLASSES, TRAIN_IMAGES, HELD_OUT_IMAGES = 3, 30, 15


@functools.cache
def all_digits() -> tempfile.TemporaryDirectory[str]:
    """Return a folder with all digits; writing them takes seconds, so a process does it once."""
    folder = tempfile.TemporaryDirectory(prefix="digits-")
    write_digits(Path(folder.name) / "digits")
    return folder


def write_images(root: Path) -> None:
    """Write three classes of the digits below `root`."""
    digits = Path(all_digits().name) / "digits"
    for part, count in (("train", TRAIN_IMAGES), ("held_out", HELD_OUT_IMAGES)):
        for name in range(CLASSES):
            folder = root / part / str(name)
            folder.mkdir(parents=True)
            for image in sorted((digits / part / str(name)).iterdir())[:count]:
                shutil.copy(image, folder / image.name)


def write_config(
    root: Path,
    models: tuple[str, ...] = ("sit", "dit"),
    subsets: tuple[str, ...] = ("geometry_aware", "random"),
    *,
    lean: bool = False,
) -> Path:
    """Write the images and the configuration file of a tiny run below `root`; return the file.

    Every process that imports torch costs more than all steps of a training. Tests of other things
    than workers have one model, one subset, and a `lean` run: it encodes and trains in the driver,
    with one selector and one sampler. A run of the other kind has the same bytes: one worker
    trains as the driver does, two would round differently.
    """
    write_images(root)
    encoder = {"name": "test_resnet", "image_size": 32, "in_chans": 1, "num_classes": CLASSES}
    every = _models(subsets, num_workers=0 if lean else 1)
    config: dict[str, Any] = {
        "run": str(root / "run"),
        "source": {"path": str(root / "train")},
        "held_out": {"path": str(root / "held_out")},
        "encoder": {
            **encoder,
            "weights": str(root / "a.safetensors"),
            "train": {"epochs": 2, "batch_size": 32},
        },
        "judge": {
            **encoder,
            "weights": str(root / "b.safetensors"),
            "train": {"epochs": 2, "batch_size": 32, "seed": 1},
        },
        "selection": {"budget": 4},
        "evaluation": {"inception_score_splits": 2},
        "models": {name: every[name] for name in models},
    }
    if lean:
        config |= {"extraction": {"num_encoders": 0}, "samplers": {"num_actors": 1, "num_cpus": 0}}
        config["selection"] |= {"pool": {"num_actors": 1, "num_cpus": 0}}
    path = root / "tiny.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def _models(subsets: tuple[str, ...], num_workers: int) -> dict[str, Any]:
    training = {
        "num_steps": 12,
        "checkpoint_steps": [6, 12],
        "global_batch_size": 8,
        "warmup_steps": 2,
        "log_every": 3,
    }
    size = {"width": 16, "depth": 1, "num_heads": 2}
    sit = {
        "model": {"name": "SiT-demo/2", **size},
        "subsets": list(subsets),
        "num_workers": num_workers,
    }
    dit = {
        "model": {"name": "DiT-demo/2", **size},
        "subsets": ["geometry_aware"],
        "num_workers": 0,
    }
    sampling = {"num_steps": 2, "num_samples": 24, "batch_size": 16}
    return {
        "sit": {"training": training | sit, "sampling": sampling},
        "dit": {"training": training | dit, "sampling": sampling},
    }
