"""The file of one shard: the results for its images, sorted by class.

It lies between the reading of a source and the files of its classes. All rows of a class follow
each other, in row groups that are small: the rows of a class are read without the others.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from otcondense.datasets.listing import identity_of
from otcondense.datasets.readings import readings
from otcondense.errors import InputError
from otcondense.in_flight import Arrays
from otcondense.store import (
    Store,
    array_column,
    array_field,
    fingerprint,
    read_table,
    table_metadata,
    write_table,
)
from otcondense.store.tables import METADATA_KEY, stored_metadata
from pipeline.class_parts import ids_of_rows
from pipeline.images import Transform, decode
from pipeline.quarantine import Lost
from pipeline.shards import FOLDER, Shard
from pipeline.work import Extraction

SCHEMA_VERSION = 1
IMAGE_COLUMNS = ("image_id", "class_index", "sha256", "width", "height")
"""Columns that are no results."""
ROW_GROUP_ROWS = 64
"""Rows of a row group: a class of a shard in random order has a few."""


@dataclass(frozen=True)
class ShardRows:
    """The results for the images of one shard, in any order."""

    image_ids: Sequence[str]
    class_index: np.ndarray
    sha256: Sequence[str]
    width: Sequence[int]
    height: Sequence[int]
    arrays: Arrays
    lost: Sequence[Lost]
    """Images of the shard that cannot be used."""


def shard_file(directory: str, number: int) -> str:
    """Return the name of the file of a shard."""
    return f"{directory}/{FOLDER}/{number:06d}.parquet"


def shard_fingerprint(extraction: Extraction, shard: Shard) -> str:
    """Return the fingerprint of a shard: of its images, and the settings and weights."""
    listing = extraction.listing
    part = listing.table.take(pa.array(shard.rows(listing)))
    indices = pc.unique(part.column("class_index")).to_pylist()
    names = {str(index): listing.classes[index] for index in sorted(indices)}
    return fingerprint([SCHEMA_VERSION, extraction.work.key, names, identity_of(part)])


def shard_folder(directory: str) -> str:
    """Return the folder of the files of shards."""
    return f"{directory}/{FOLDER}"


def bytes_per_image(extraction: Extraction, shards: Sequence[Shard]) -> int:
    """Return the approximate size of the results of one image, from one of the finished shards."""
    for shard in shards:
        name = shard_file(extraction.directory, shard.number)
        if extraction.store.exists(name):
            with extraction.store.open(name) as opened:
                count = int(pq.read_metadata(opened).num_rows)
            if count:
                return -(-extraction.store.size(name) // count)
    return 0


def wanted_images(extraction: Extraction, shard: Shard) -> int:
    """Return the number of images of a shard whose results are needed."""
    return int(extraction.is_wanted(shard.rows(extraction.listing)).sum())


def wanted_files(extraction: Extraction, shard: Shard) -> list[int | str]:
    """Return the marks of the files that need results of a shard, see `ClassPlan.mark`."""
    places = np.unique(extraction.plan_of[shard.rows(extraction.listing)])
    return [extraction.plans[place].mark for place in places if place >= 0]


def write_shard(extraction: Extraction, shard: Shard, rows: ShardRows) -> None:
    """Write the file of a shard."""
    fields = [
        pa.field("image_id", pa.string()),
        pa.field("class_index", pa.int32()),
        pa.field("sha256", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
    ]
    values = (rows.image_ids, rows.class_index, rows.sha256, rows.width, rows.height)
    columns = [pa.array(each, field.type) for each, field in zip(values, fields, strict=True)]
    for name, array in rows.arrays.items():
        fields.append(array_field(name, array))
        columns.append(array_column(array))
    table = pa.Table.from_arrays(columns, schema=pa.schema(fields))
    write_table(
        extraction.store,
        shard_file(extraction.directory, shard.number),
        table.sort_by([("class_index", "ascending"), ("image_id", "ascending")]),
        fingerprint=shard_fingerprint(extraction, shard),
        row_group_rows=ROW_GROUP_ROWS,
        classes=wanted_files(extraction, shard),
        lost=[asdict(each) for each in rows.lost],
    )


def finished_shard(extraction: Extraction, shard: Shard, transform: Transform) -> list[Lost] | None:
    """Return the lost images of a shard that an earlier start finished.

    Lost images are tried again: a store may have been out of reach for a moment, and a repaired
    file can have the size and the time it had.

    Args:
        extraction: the plan.
        shard: the shard.
        transform: of the images.

    Returns: None if its file is missing, damaged, has another fingerprint or lacks images of a
        wanted file, or a lost image is readable now.
    """
    store = extraction.store
    name = shard_file(extraction.directory, shard.number)
    metadata = stored_metadata(store, name)
    if metadata is None or metadata["fingerprint"] != shard_fingerprint(extraction, shard):
        return None
    if not set(wanted_files(extraction, shard)) <= set(metadata["classes"]):
        return None
    try:
        read_table(store, name)
    except InputError:
        return None
    lost = _lost(metadata["lost"], extraction, shard)
    return None if lost and _is_any_readable(extraction, shard, lost, transform) else lost


def _is_any_readable(
    extraction: Extraction, shard: Shard, lost: Sequence[Lost], transform: Transform
) -> bool:
    """Tell whether a lost image of a shard can be used now."""
    names = {each.image_id for each in lost}
    records = extraction.listing.take(shard.rows(extraction.listing))
    paths = [record.path for record in records if record.image_id in names]
    return any(decode(read, transform).reason is None for read in readings(paths))


def _lost(stored: list[dict[str, str]], extraction: Extraction, shard: Shard) -> list[Lost]:
    """Return the lost images of a shard whose results are needed."""
    if not stored:
        return []
    rows = shard.rows(extraction.listing)
    wanted = ids_of_rows(extraction.listing, rows[extraction.is_wanted(rows)])
    names = set(wanted.to_pylist())
    lost = [Lost(**each) for each in stored]
    return [each for each in lost if each.image_id in names]


def read_classes(
    store: Store, directory: str, number: int, first: int, last: int
) -> tuple[pa.Table, list[Lost]]:
    """Return the rows of the classes `first` to `last` of a shard, and the lost images of all.

    Raises: InputError if the file is damaged; the next start reads its images again.
    """
    name = shard_file(directory, number)
    try:
        with store.open(name) as opened:
            file = pq.ParquetFile(opened)
            table = file.read_row_groups(_groups_with(file, first, last))
    except (pa.ArrowException, ValueError, FileNotFoundError) as error:
        raise InputError(
            f"{store.path(name)} is damaged ({error}); run the stage again: it is read again"
        ) from error
    metadata = table_metadata(table)
    index = table.column("class_index")
    kept = table.filter(pc.and_(pc.greater_equal(index, first), pc.less_equal(index, last)))
    return kept, [Lost(**each) for each in metadata["lost"]]


def _groups_with(file: pq.ParquetFile, first: int, last: int) -> list[int]:
    """Return the row groups that can hold rows of some classes."""
    assert METADATA_KEY in file.schema_arrow.metadata, "write_shard wrote this file"
    column = file.schema_arrow.get_field_index("class_index")
    found = []
    for number in range(file.num_row_groups):
        group = file.metadata.row_group(number)
        if group.num_rows == 0:
            continue  # no image of the shard can be used
        facts = group.column(column).statistics
        if facts.min <= last and facts.max >= first:
            found.append(number)
    return found
