"""A subset as a list of paths, and as one Parquet file."""

from pathlib import Path

from otcondense.exports.export import Export
from otcondense.exports.hub_metadata import TEXT_COLUMN
from otcondense.exports.parquet_tables import parquet_writer, subset_tables
from otcondense.store.json_text import canonical_json


def write_json_list(export: Export, target: Path) -> list[str]:
    """Write the relative paths of the images, in the order of the manifest, as one JSON list.

    With captions, it is a list of objects with `image_id` and `text`.
    """
    image_ids = [image.image_id for image in export.images]
    captions = export.texts()
    listed: list[object] = list(image_ids)
    if captions is not None:
        listed = [
            {"image_id": image_id, TEXT_COLUMN: text}
            for image_id, text in zip(image_ids, captions, strict=True)
        ]
    target.write_text(canonical_json(listed, indent=1) + "\n")
    return []


def write_parquet(export: Export, target: Path) -> list[str]:
    """Write the manifest with two more columns, `image` and `label`, and `text` with captions.

    The `datasets` library decodes the images and knows the class names.
    """
    tables = subset_tables(export, with_images=True)
    first = next(tables)
    with parquet_writer(target, first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)
    return []
