"""A subset as a Hugging Face data set: Parquet files and a card that describes them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pyarrow as pa
import yaml

from otcondense.exports.export import Export
from otcondense.exports.hub_metadata import Json, card_features
from otcondense.exports.parquet_tables import parquet_writer, subset_tables

SHARD_BYTES = 500 * 10**6
"""Bytes of a file, nearly: the `datasets` library writes files of this size too."""
SPLIT = "train"
SIZE_CATEGORIES = {1000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}
LARGEST_CATEGORY = "1M<n<10M"
MEANINGS = {
    "image_id": "path relative to the root of the source, with `/`",
    "class_name": "name of the class",
    "class_index": "rank of the class name among all classes, from 0",
    "choice": "order of choice within the class, from 0",
    "rank": "order by `gain` within the class, the largest first, from 0",
    "weight": "`represented_mass` times the number of images chosen from the class",
    "represented_mass": "share of its class that the image represents, 0 to 1",
    "gain": "increase of the objective if the image is left out; null if unknown",
    "cross_entropy": "cross-entropy of the true class in nats; null without a classifier",
    "sha256": "SHA-256 of the source file",
    "image": "the image, as in the source",
    "label": "`class_index` with the names of the classes",
}
"""Columns, for the card."""
LINE_WIDTH = 10_000
"""Of the YAML of the card: no name is broken into two lines."""


@dataclass(frozen=True)
class _Written:
    """The files of a data set."""

    schema: pa.Schema
    num_bytes: int
    """In the memory of a reader."""
    file_bytes: int


def write_hugging_face(export: Export, target: Path) -> list[str]:
    """Write `data/train-*.parquet` and the data set card `README.md`.

    The images are in it if `with_images` is set.

    Raises: InputError if an image is missing or has changed.
    """
    (target / "data").mkdir(parents=True)
    written = _write_files(export, target / "data")
    (target / "README.md").write_text(_card(export, written), encoding="utf-8")
    return []


def _write_files(export: Export, folder: Path) -> _Written:
    """Write the files; their names have the number of all, which is known at the end."""
    tables = subset_tables(export, with_images=export.with_images)
    files: list[Path] = []
    num_bytes = 0
    schema: pa.Schema | None = None
    for table in tables:
        schema = table.schema
        files.append(folder / f"{len(files):05d}")
        num_bytes += _write_file(files[-1], chain([table], tables))
    assert schema is not None, "a subset has images"
    for number, file in enumerate(files):
        file.rename(folder / f"{SPLIT}-{number:05d}-of-{len(files):05d}.parquet")
    file_bytes = sum(file.stat().st_size for file in folder.iterdir())
    return _Written(schema, num_bytes, file_bytes)


def _write_file(path: Path, tables: Iterator[pa.Table]) -> int:
    """Write one file of nearly `SHARD_BYTES`; return the bytes of its rows in memory."""
    first = next(tables)
    size = int(first.nbytes)
    with parquet_writer(path, first.schema) as writer:
        writer.write_table(first)
        while size < SHARD_BYTES and (table := next(tables, None)) is not None:
            writer.write_table(table)
            size += int(table.nbytes)
    return size


def _card(export: Export, written: _Written) -> str:
    size = len(export.images)
    classes = set(export.manifest.column("class_index").to_pylist())
    kept = "and no images: `image_id` is the path of each below the root of its source"
    if export.with_images:
        kept = "and the images themselves"
    front = yaml.safe_dump(
        _front_matter(export, written), sort_keys=False, allow_unicode=True, width=LINE_WIDTH
    )
    columns = [f"| `{name}` | {MEANINGS[name]} |\n" for name in written.schema.names]
    return (
        f"---\n{front}---\n\n# A condensed subset\n\n"
        f"{size} images of {len(classes)} classes, chosen by OTCondense. "
        f"It holds the manifest {kept}.\n\n"
        f"| column | meaning |\n|---|---|\n{''.join(columns)}"
    )


def _front_matter(export: Export, written: _Written) -> Json:
    size = len(export.images)
    split = {"name": SPLIT, "num_bytes": written.num_bytes, "num_examples": size}
    files = [{"split": SPLIT, "path": f"data/{SPLIT}-*.parquet"}]
    return {
        "configs": [{"config_name": "default", "data_files": files}],
        "dataset_info": {
            "features": card_features(written.schema, export.class_names()),
            "splits": [split],
            "download_size": written.file_bytes,
            "dataset_size": written.num_bytes,
        },
        "size_categories": [_size_category(size)],
        "tags": ["dataset-condensation", "coreset"],
        "task_categories": ["unconditional-image-generation", "image-classification"],
    }


def _size_category(size: int) -> str:
    for limit, category in SIZE_CATEGORIES.items():
        if size < limit:
            return category
    return LARGEST_CATEGORY
