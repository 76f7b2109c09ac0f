"""A subset as a list of paths, and as one Parquet file."""

from pathlib import Path

from otcondense.exports.export import Export
from otcondense.exports.parquet_tables import parquet_writer, subset_tables
from otcondense.store.json_text import canonical_json


def write_json_list(export: Export, target: Path) -> list[str]:
    """Write the relative paths of the images, in the order of the manifest, as one JSON list."""
    image_ids = [image.image_id for image in export.images]
    target.write_text(canonical_json(image_ids, indent=1) + "\n")
    return []


def write_parquet(export: Export, target: Path) -> list[str]:
    """Write the manifest with two more columns, `image` and `label`.

    The `datasets` library decodes the images and knows the class names.
    """
    tables = subset_tables(export, with_images=True)
    first = next(tables)
    with parquet_writer(target, first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)
    return []
