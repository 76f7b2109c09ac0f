"""Images pass through an export one part at a time, however many there are."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from otcondense.datasets import SourceConfig
from otcondense.exports import hugging_face, parquet_tables
from otcondense.exports.subsets import EXPORTS, ExportConfig, export_subset
from tests.generators.odd_images import whole_manifest

IMAGES = 60
SIDE = 600
IMAGE_BYTES = SIDE * SIDE * 3
"""Bytes of a file that is not compressed."""
PART = 5
"""Images that may be in memory together."""


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "images" / "ant"
    folder.mkdir(parents=True)
    for number in range(IMAGES):
        Image.fromarray(np.full((SIDE, SIDE, 3), number, np.uint8)).save(folder / f"{number}.bmp")
    return SourceConfig(path=str(tmp_path / "images"))


@pytest.mark.parametrize("form", sorted(EXPORTS))
def test_a_part_of_the_images_is_in_memory(source, tmp_path, monkeypatch, form):
    monkeypatch.setattr(parquet_tables, "BATCH_BYTES", PART * IMAGE_BYTES)
    monkeypatch.setattr(hugging_face, "SHARD_BYTES", 4 * PART * IMAGE_BYTES)
    manifest = whole_manifest(source)
    pool = pa.proxy_memory_pool(pa.default_memory_pool())
    default = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        config = ExportConfig(output=str(tmp_path / "out"), format=form, files="copy")
        export_subset(manifest, source, config)
        peak = tracemalloc.get_traced_memory()[1] + pool.max_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(default)
    # A part as bytes, in Arrow's memory and in that of the writer, each grown by doubling.
    assert peak < 6 * PART * IMAGE_BYTES < IMAGES * IMAGE_BYTES
