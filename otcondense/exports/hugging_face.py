"""A subset as a Hugging Face data set: Parquet files, a card, and Croissant metadata."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pyarrow as pa

from otcondense.exports.card.card import SPLIT, Sizes, card_text
from otcondense.exports.card.sections import Files
from otcondense.exports.croissant import CROISSANT_FILE, croissant_text
from otcondense.exports.export import Export
from otcondense.exports.parquet_tables import parquet_writer, subset_tables

CARD_FILE = "README.md"
SHARD_BYTES = 500 * 10**6
"""Bytes of a file, nearly: the `datasets` library writes files of this size too."""


@dataclass(frozen=True)
class _Written:
    """The files of a data set."""

    schema: pa.Schema
    sizes: Sizes


def write_hugging_face(export: Export, target: Path) -> list[str]:
    """Write `data/train-*.parquet`, the data set card `README.md`, and `croissant.json`.

    The images are in it if `with_images` is set.

    Raises: InputError if an image is missing or has changed, or a package is missing.
    """
    (target / "data").mkdir(parents=True)
    written = _write_files(export, target / "data")
    classes = set(export.manifest.column("class_index").to_pylist())
    files = Files(written.schema, len(export.images), len(classes))
    names = export.class_names()
    card = card_text(export.about, files, names, written.sizes)
    (target / CARD_FILE).write_text(card, encoding="utf-8")
    metadata = croissant_text(export.about, files, names, target)
    (target / CROISSANT_FILE).write_text(metadata, encoding="utf-8")
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
    return _Written(schema, Sizes(num_bytes, file_bytes))


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
