"""A listing from records, until every scanner gives columns."""

from urllib.parse import unquote

import pyarrow as pa

from otcondense.datasets.listing import COLUMNS, NO_FILE, ListedFile, Listing, cell_position
from otcondense.datasets.records import ImageRecord


def listing_of(classes: tuple[str, ...], records: list[ImageRecord], ignored: list[str]) -> Listing:
    """Return the listing of sorted records."""
    files: dict[ListedFile, int] = {}
    rows = []
    for record in records:
        kind, _, rest = record.path.partition(":")
        file, position = NO_FILE, 0
        path: str | None = record.path
        if kind in ("bytes", "cell", "features"):
            place, container = rest.split("@", 1)
            column = ""
            if kind == "bytes":
                position = int(place.split("+")[0])
            elif kind == "features":
                position = int(place)
            else:
                group, row, column = place.split("/", 2)
                position = cell_position(int(group), int(row))
            listed = ListedFile(container, kind, unquote(column))  # type: ignore[arg-type]
            file = files.setdefault(listed, len(files))
            path = None
        rows.append(
            (
                record.image_id,
                record.class_index,
                record.size_bytes,
                record.mtime_ns,
                file,
                position,
                path,
            )
        )
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(COLUMNS)
    arrays = [pa.array(column, each.type) for column, each in zip(columns, COLUMNS, strict=True)]
    return Listing(classes, pa.Table.from_arrays(arrays, schema=COLUMNS), "", tuple(files), ignored)
