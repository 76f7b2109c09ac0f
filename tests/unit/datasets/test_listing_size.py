"""What a listing costs: bytes in columns, and no Python object for each image."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from otcondense.datasets import SourceConfig, scan_images
from otcondense.datasets import listing as listing_module
from tests.generators.containers import write_tar

ROWS = 20_000
MOST_BYTES = 120
"""Bytes of an image in a listing whose ids have 40 characters."""


def labels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 100, ROWS)


def parquet(root: Path) -> SourceConfig:
    columns = {"image": pa.array([b"x"] * ROWS), "label": labels()}
    pq.write_table(pa.table(columns), root / "train-00000-of-00001.parquet", row_group_size=100)
    return SourceConfig(path=str(root), kind="parquet")


def features(root: Path) -> SourceConfig:
    np.save(root / "features.npy", np.zeros((ROWS, 1), np.float32))
    np.save(root / "labels.npy", labels())
    return SourceConfig(path=str(root), kind="features")


def tar(root: Path) -> SourceConfig:
    members = {f"{label}/{row}.png": b"" for row, label in enumerate(labels()[:2000])}
    write_tar(root / "train-000000.tar", members)
    return SourceConfig(path=str(root), kind="webdataset")


def folder(root: Path) -> SourceConfig:
    for row, label in enumerate(labels()[:2000]):
        (root / str(label)).mkdir(exist_ok=True)
        (root / str(label) / f"image-{row:08d}.png").touch()
    return SourceConfig(path=str(root))


SOURCES = {"parquet": parquet, "features": features, "tar": tar, "folder": folder}


@pytest.mark.parametrize("kind", SOURCES)
def test_a_scan_makes_no_record_and_keeps_few_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    source = SOURCES[kind](tmp_path)
    monkeypatch.setattr(listing_module, "ImageRecord", lambda *_: pytest.fail("a record is made"))
    found = scan_images(source)
    assert len(found) in (2000, ROWS)
    assert found.table.nbytes / len(found) < MOST_BYTES
    assert sum(found.sizes.values()) == len(found)


@pytest.mark.parametrize("write", [folder, parquet], ids=["folder", "parquet"])
@pytest.mark.parametrize("threads", [1, 3, 16])
def test_the_listing_does_not_depend_on_the_number_of_threads(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Path], SourceConfig],
    threads: int,
) -> None:
    source = write(tmp_path)
    expected = scan_images(source)
    monkeypatch.setattr("otcondense.datasets.local_trees.THREADS", threads)
    other = scan_images(source.model_copy(update={"max_lost_share": 0.5}))
    assert other.table.equals(expected.table)
    assert other.classes == expected.classes
