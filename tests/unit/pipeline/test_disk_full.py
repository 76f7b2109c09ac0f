"""A disk that fills up during an extraction.

The error is clear, no file is half-written under its final name, and the next run ends in the same
bytes.
"""

import errno
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from otcondense.datasets import SourceConfig
from otcondense.encoders import EncoderConfig
from otcondense.store import Store, local_files, read_table
from pipeline.extract import extract_features
from pipeline.extraction_config import ExtractionConfig

HERE = ExtractionConfig(num_encoders=0)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Four classes of noise and an encoder with random weights."""
    rng, root = np.random.default_rng(0), tmp_path_factory.mktemp("full")
    for number in range(24):
        path = root / "images" / f"{number % 4}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(path)
    torch.manual_seed(0)
    save_file(
        timm.create_model("test_byobnet", num_classes=4, in_chans=1).state_dict(),
        root / "e.safetensors",
    )
    encoder = EncoderConfig(
        name="test_byobnet",
        weights=str(root / "e.safetensors"),
        image_size=32,
        in_chans=1,
        num_classes=4,
        batch_size=4,
        device="cpu",
    )
    return SourceConfig(path=str(root / "images")), encoder


def contents(store):
    names = [name for name in store.list() if not name.startswith("logs/")]
    return {name: store.read_bytes(name) for name in names}


def check(store, work, tmp_path):
    """Read every file, then finish the run and compare it with an undisturbed one."""
    for name in store.list():
        assert len(read_table(store, name)) >= 0, "whole, or not there"
    undisturbed = Store(str(tmp_path / "undisturbed"))
    for each in (undisturbed, store):
        extract_features(each.root, "features", *work, HERE, "stage")
    assert contents(store) == contents(undisturbed)


@pytest.mark.parametrize("allowed", [0, 1, 3])
def test_a_write_that_fails_leaves_whole_files_and_no_others(work, tmp_path, monkeypatch, allowed):
    writes, flush = [], os.fsync

    def full(descriptor):
        writes.append(descriptor)
        if len(writes) > allowed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(descriptor)

    store = Store(str(tmp_path / "run"))
    with monkeypatch.context() as patch:
        patch.setattr(local_files.os, "fsync", full)
        with pytest.raises(OSError, match="No space left on device"):
            extract_features(store.root, "features", *work, HERE, "stage")
    left = [path for path in Path(store.root).rglob("*") if path.is_file()]
    assert len(left) == len(store.list()) == allowed, "no temporary file is left"
    check(store, work, tmp_path)


def test_a_real_disk_that_is_full_leaves_whole_files(work, tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20k", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        store = Store(str(place / "run"))
        with pytest.raises(OSError, match="No space left on device"):
            extract_features(store.root, "features", *work, HERE, "stage")
        subprocess.run(["mount", "-o", "remount,size=10m", str(place)], check=True)
        check(store, work, tmp_path)
    finally:
        subprocess.run(["umount", str(place)], check=True)
