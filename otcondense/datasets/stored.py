"""The listing of a source as tables in a run, so that only one stage walks through the source."""

from contextlib import suppress
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from otcondense.datasets.columns import one_array
from otcondense.datasets.listing import ListedFile, Listing, Unusable
from otcondense.datasets.parts import TEXT, Texts, column_of, texts
from otcondense.datasets.records import SourceConfig
from otcondense.datasets.sources import scan_images
from otcondense.errors import InputError
from otcondense.store import (
    Store,
    fingerprint,
    hash8,
    read_table,
    stored_metadata,
    table_metadata,
    write_table,
)
from otcondense.store.tables import table_digest

LISTING_VERSION = 1
"""Part of the names of the tables."""
KEPT = 2
"""Stored listings that a process keeps: of the source, and of that of another run."""
OTHERS = ("name", "class_name", "reason")
"""Columns of the table of what is no usable image; an ignored file has no class and no reason."""


def listing_file(source: SourceConfig) -> str:
    """Return the name of the table of the images of a source."""
    return f"listing/source-{_hash(source)}.parquet"


def others_file(source: SourceConfig) -> str:
    """Return the name of the table of ignored files and unusable images."""
    return f"listing/others-{_hash(source)}.parquet"


def _hash(source: SourceConfig) -> str:
    return hash8([LISTING_VERSION, source.identity(), source.allow_links])


def write_listing(store: Store, source: SourceConfig, listing: Listing) -> None:
    """Write the listing of a source, unless the run has the same one."""
    files = [asdict(file) for file in listing.files]
    facts: dict[str, Any] = {"classes": listing.classes, "root": listing.root, "files": files}
    others = _others(listing)
    key = fingerprint([LISTING_VERSION, facts, table_digest(listing.table), table_digest(others)])
    name = listing_file(source)
    if (stored_metadata(store, name) or {}).get("fingerprint") == key:
        return
    write_table(store, others_file(source), others, fingerprint=key)
    write_table(store, name, listing.table, fingerprint=key, **facts)


def _others(listing: Listing) -> pa.Table:
    """Return ignored files and unusable images as a table."""
    ignored = column_of(listing.ignored)
    none = pa.nulls(len(ignored), TEXT)
    unusable = listing.unusable
    columns = {
        "name": [ignored, texts(each.image_id for each in unusable)],
        "class_name": [none, texts(each.class_name for each in unusable)],
        "reason": [none, texts(each.reason for each in unusable)],
    }
    return pa.table({name: pa.concat_arrays(parts) for name, parts in columns.items()})


def source_listing(store: Store, source: SourceConfig) -> Listing:
    """Return the listing of a source: the one that is stored in a run, else a new one.

    Raises: InputError as `scan_images` does.
    """
    metadata = stored_metadata(store, listing_file(source)) or {}
    if "content" in metadata:
        with suppress(InputError):  # a damaged listing is made again
            return _read(store, source, str(metadata["content"]))
    return scan_images(source)


def stored_classes(store: Store, source: SourceConfig) -> tuple[str, ...]:
    """Return the classes of a stored listing without reading its images; none if there is none."""
    metadata = stored_metadata(store, listing_file(source)) or {}
    return tuple(metadata.get("classes", ()))


@lru_cache(maxsize=KEPT)
def _read(store: Store, source: SourceConfig, _content: str) -> Listing:
    """Return a stored listing.

    `_content` is the digest of its images: one with another digest is read again.

    Raises: InputError if it is damaged or incomplete.
    """
    images = read_table(store, listing_file(source))
    others = read_table(store, others_file(source))
    facts = table_metadata(images)
    if facts["fingerprint"] != table_metadata(others)["fingerprint"]:
        raise InputError(f"{store.path(others_file(source))} is of another listing; list it again")
    is_ignored = others.column("reason").is_null()
    ignored = one_array(others.filter(is_ignored).column("name"))
    unusable = others.filter(pc.invert(is_ignored)).rename_columns(["image_id", *OTHERS[1:]])
    return Listing(
        classes=tuple(facts["classes"]),
        table=images.replace_schema_metadata(None),
        root=str(facts["root"]),
        files=tuple(ListedFile(**file) for file in facts["files"]),
        ignored=Texts(ignored),
        unusable=[Unusable(**row) for row in unusable.to_pylist()],
    )
