"""A subset as a Hugging Face data set: Parquet and a card."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from otcondense.exports.formats import Export, with_image_column
from otcondense.store.files import canonical_json

SIZE_CATEGORIES = {1000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}
LARGEST_CATEGORY = "1M<n<10M"
MEANINGS = {
    "image_id": "path relative to the root of the source, with `/`",
    "class_name": "name of the class",
    "class_index": "rank of the class name among all classes, from 0",
    "rank": "order of choice within the class, from 0",
    "weight": "`represented_mass` times the number of images chosen from the class",
    "represented_mass": "share of its class that the image represents, 0 to 1",
    "gain": "decrease of the objective when the image was added; null if unknown",
    "cross_entropy": "cross-entropy of the true class in nats; null without a classifier",
    "sha256": "SHA-256 of the source file",
}
"""Columns of the manifest, for the card."""
FRONT_MATTER = {
    "configs": [
        {
            "config_name": "default",
            "data_files": [{"path": "data/train-*.parquet", "split": "train"}],
        }
    ],
    "tags": ["dataset-condensation", "coreset"],
    "task_categories": ["unconditional-image-generation", "image-classification"],
}
DATA_TYPES = {"double": "float64", "float": "float32"}
"""Names that the `datasets` library has for types of Arrow with other names."""


def write_hugging_face(export: Export, target: Path) -> None:
    """Write `data/train-*.parquet` and the data set card `README.md`.

    The images are in it only if `with_images` is set.
    """
    (target / "data").mkdir(parents=True)
    table = export.manifest.replace_schema_metadata(None)
    if export.with_images:
        table = with_image_column(table, export.images)
        info = canonical_json({"info": {"features": _features(table)}})
        table = table.replace_schema_metadata({"huggingface": info})
    pq.write_table(table, target / "data" / "train-00000-of-00001.parquet", compression="zstd")
    (target / "README.md").write_text(_card(export), encoding="utf-8")


def _features(table: pa.Table) -> dict[str, Any]:
    """Return the description of the columns that the `datasets` library reads."""
    features: dict[str, Any] = {}
    for field in table.schema:
        name = str(field.type)
        features[field.name] = {"dtype": DATA_TYPES.get(name, name), "_type": "Value"}
    return features | {"image": {"_type": "Image"}}


def _card(export: Export) -> str:
    size = len(export.images)
    classes = set(export.manifest.column("class_index").to_pylist())
    front = FRONT_MATTER | {"size_categories": [_size_category(size)]}
    kept = "and no images: `image_id` is the path of each below the root of its source"
    if export.with_images:
        kept = "and the images themselves"
    columns = [f"| `{name}` | {meaning} |\n" for name, meaning in MEANINGS.items()]
    return (
        f"---\n{yaml.safe_dump(front, sort_keys=True)}---\n\n# A condensed subset\n\n"
        f"{size} images of {len(classes)} classes, chosen by OTCondense. "
        f"It holds the manifest {kept}.\n\n"
        f"| column | meaning |\n|---|---|\n{''.join(columns)}"
    )


def _size_category(size: int) -> str:
    for limit, category in SIZE_CATEGORIES.items():
        if size < limit:
            return category
    return LARGEST_CATEGORY
