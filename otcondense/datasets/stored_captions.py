"""The captions of a source as a table in a run: one row for each image, sorted by id."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from otcondense.datasets.columns import one_array
from otcondense.datasets.listing import Listing
from otcondense.datasets.parts import TEXT
from otcondense.errors import InputError
from otcondense.store import Store, fingerprint, read_table, stored_metadata, write_table
from otcondense.store.tables import ROW_GROUP_ROWS, table_digest

CAPTIONS_VERSION = 1
"""Part of the fingerprint of the table."""
ROWS_TOGETHER = 65_536
"""Rows of a row group, so that a part of millions of captions can be read alone."""
ID, CAPTION = "image_id", "caption"
"""Columns of the table, both `large_string`: texts of 20 million images take more than 2 GB."""


def write_captions(store: Store, name: str, listing: Listing) -> None:
    """Write the captions of a listing, unless the run has the same ones.

    Args:
        store: the run.
        name: of the table.
        listing: of a source with captions.
    """
    table = _table(listing)
    key = _key(table)
    if (stored_metadata(store, name) or {}).get("fingerprint") != key:
        write_table(store, name, table, fingerprint=key, **{ROW_GROUP_ROWS: ROWS_TOGETHER})


def captions_fingerprint(listing: Listing) -> str:
    """Return the fingerprint that the captions of a new listing are stored with."""
    return _key(_table(listing))


def _table(listing: Listing) -> pa.Table:
    assert listing.captions is not None, "the source has captions"
    table = pa.table({ID: listing.table.column(ID), CAPTION: listing.captions})
    return table.take(pc.sort_indices(table, [(ID, "ascending")])).combine_chunks()


def _key(table: pa.Table) -> str:
    return fingerprint([CAPTIONS_VERSION, table_digest(table)])


def read_captions(store: Store, name: str) -> pa.Table:
    """Return all captions of a run: `image_id` and `caption` of each image, sorted by id.

    Raises: MissingInputError if there are none yet, InputError if the table is damaged.
    """
    return read_table(store, name)


def captions_of(store: Store, name: str, image_ids: pa.Array) -> pa.LargeStringArray:
    """Return the captions of some images, in their order.

    Raises: InputError as `read_captions` does, or if an image has none.
    """
    table = read_captions(store, name)
    places = pc.index_in(image_ids.cast(TEXT), value_set=one_array(table.column(ID)))
    if places.null_count:
        missing = image_ids.filter(places.is_null())
        raise InputError(
            f"{store.path(name)} must have a caption for each image, found none for "
            f"{missing[0].as_py()!r}; run `otcondense extract_features` again"
        )
    return one_array(table.column(CAPTION)).take(places)


def some_captions(store: Store, name: str, image_ids: Sequence[str]) -> dict[str, str]:
    """Return the captions of a few images, by id, without reading all row groups.

    An image without one is left out. The content is not compared with its digest.

    Raises: InputError if the table is missing or damaged.
    """
    try:
        with store.open(name) as file:
            table = pq.read_table(file, filters=[(ID, "in", list(image_ids))])
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(
            f"{store.path(name)} cannot be read ({error}); run `otcondense extract_features` again"
        ) from error
    return dict(zip(table.column(ID).to_pylist(), table.column(CAPTION).to_pylist(), strict=True))


def listed_captions(listing: Listing, image_ids: pa.Array) -> pa.LargeStringArray:
    """Return the captions of some images of a new listing, in their order; null where none is."""
    assert listing.captions is not None, "the source has captions"
    known = one_array(listing.table.column(ID))
    return listing.captions.take(pc.index_in(image_ids.cast(TEXT), value_set=known))
