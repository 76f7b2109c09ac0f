"""A subset as tables of bounded size, and Parquet files of images and features."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from otcondense.datasets.ordered import read_all
from otcondense.datasets.wanted import WantedImage
from otcondense.exports.export import Export
from otcondense.exports.hub_metadata import IMAGE_COLUMN, LABEL_COLUMN, TEXT_COLUMN, described

BATCH_BYTES = 2**26
"""Bytes of images that are in memory at a time, and of a row group; one larger image is its own."""
BATCH_ROWS = 1000
"""Rows of a row group at most: readers that want single rows take whole groups."""
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""Type of a column of images, as Hugging Face reads them."""


def subset_tables(export: Export, *, with_images: bool) -> Iterator[pa.Table]:
    """Yield the manifest in parts of bounded size, with `label`, and maybe `image` and `text`.

    `label` is the class index, int64; `image` holds the bytes of the source and the id; `text` is
    the caption, if the source has some. The schema says so to the `datasets` library.

    Raises: InputError if an image is missing or has changed.
    """
    plain = export.manifest.replace_schema_metadata(None)
    labels = plain.column("class_index").cast(pa.int64())
    names = export.class_names()
    start = 0
    parts = _image_columns(export) if with_images else iter([None])
    for images in parts:
        count = plain.num_rows if images is None else len(images)
        part = plain.slice(start, count)
        if images is not None:
            part = part.append_column("image", images)
        part = part.append_column(LABEL_COLUMN, labels.slice(start, count))
        if export.captions is not None:
            captions = export.captions.slice(start, count).cast(pa.string())
            part = part.append_column(TEXT_COLUMN, captions)
        yield part.cast(described(part.schema, names))
        start += count


def subset_schema(
    manifest: pa.Table, names: list[str], *, with_images: bool, with_captions: bool = False
) -> pa.Schema:
    """Return the schema of the tables of `subset_tables`, without reading an image.

    Args:
        manifest: of the subset.
        names: class names by index.
        with_images: whether there is a column `image`.
        with_captions: whether there is a column `text`.
    """
    schema = manifest.schema.remove_metadata()
    if with_images:
        schema = schema.append(pa.field(IMAGE_COLUMN, IMAGE))
    schema = schema.append(pa.field(LABEL_COLUMN, pa.int64()))
    if with_captions:
        schema = schema.append(pa.field(TEXT_COLUMN, pa.string()))
    return described(schema, names)


def _image_columns(export: Export) -> Iterator[pa.Array]:
    """Yield the images in columns of bounded size."""
    yield from image_columns(export.images, read_all(export.images))


def image_columns(images: Sequence[WantedImage], contents: Iterable[bytes]) -> Iterator[pa.Array]:
    """Yield the bytes and ids of images in columns of bounded size, of type `IMAGE`.

    Args:
        images: any number.
        contents: bytes of each, in their order.
    """
    values: list[dict[str, bytes | str]] = []
    size = 0
    for end, (image, data) in enumerate(zip(images, contents, strict=True), 1):
        values.append({"bytes": data, "path": image.image_id})
        size += len(data)
        if size >= BATCH_BYTES or len(values) == BATCH_ROWS or end == len(images):
            yield pa.array(values, IMAGE)
            values = []
            size = 0


@contextmanager
def parquet_writer(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Open a new Parquet file, in which every table that is written is a row group.

    Images are compressed already and features hardly shrink: both are stored as they are, and read
    several times faster.
    """
    leaves = [leaf for field in schema for leaf in _leaves(field)]
    plain = [leaf for leaf in leaves if leaf.endswith((".bytes", ".list.element"))]
    compression = {leaf: "none" if leaf in plain else "zstd" for leaf in leaves}
    others = [leaf for leaf in leaves if leaf not in plain]
    with pq.ParquetWriter(path, schema, compression=compression, use_dictionary=others) as writer:
        yield writer


def _leaves(field: pa.Field, prefix: str = "") -> list[str]:
    """Return the names of the columns that Parquet stores for a field."""
    name = f"{prefix}{field.name}"
    if pa.types.is_struct(field.type):
        inner = [field.type.field(number) for number in range(field.type.num_fields)]
        return [leaf for each in inner for leaf in _leaves(each, f"{name}.")]
    if pa.types.is_fixed_size_list(field.type) or pa.types.is_list(field.type):
        return [f"{name}.list.element"]
    return [name]
