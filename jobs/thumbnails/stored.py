"""The file of thumbnails of one subset: written once, and read without the source.

It is made from the images of the source, not from the pixels that a model is trained on, and
whether or not a model is trained. A run without it opens as before: its page reads the source.
"""

from collections import Counter
from collections.abc import Mapping
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.datasets import order_classes
from otcondense.datasets.thumbnails import THUMBNAIL_SIDE, thumbnails
from otcondense.datasets.wanted import manifest_images
from otcondense.errors import InputError
from otcondense.store import (
    fingerprint,
    hash8,
    name_column,
    read_fingerprint,
    read_manifest,
    read_table,
    selected_names,
    write_table,
)

VERSION = 1
"""Part of the fingerprint; a change of the pictures or of their order needs a new number."""
FULL_CLASSES = 20
"""Classes of which the first images are all kept: those whose images the report shows."""
FULL_IMAGES = 24
"""Images that are kept of each of them."""
MOST = 2_000
"""Thumbnails of one subset: some 8 MB. Other classes share what is left, first choices first."""
Pictures = Mapping[str, bytes]
"""Thumbnails as PNG or JPEG, by image id."""
SCHEMA = pa.schema([("image_id", pa.string()), ("picture", pa.binary())])


def thumbnails_file(run: Run, method: str) -> str:
    """Return the name of the thumbnails of one subset."""
    key = [VERSION, run.selection_key(method), THUMBNAIL_SIDE]
    return f"thumbnails/{method}-{hash8(key)}.parquet"


def read_thumbnails(run: Run, method: str) -> Pictures | None:
    """Return the thumbnails of one subset; None if they are missing, damaged or of another one."""
    name = thumbnails_file(run, method)
    if not run.store.exists(name) or read_fingerprint(run.store, name) != _key(run, method):
        return None
    try:
        table = read_table(run.store, name)
    except InputError:
        return None
    columns = [table.column(each).to_pylist() for each in SCHEMA.names]
    return dict(zip(*columns, strict=True))


def write_thumbnails(run: Run, method: str) -> Pictures:
    """Return the thumbnails of one subset; make and store them if they are missing.

    Raises: InputError if an image of the source is missing or has changed, or there is no subset.
    """
    found = read_thumbnails(run, method)
    if found is not None:
        return found
    manifest = kept_rows(read_manifest(run.store, run.manifest(method)))
    source = run.config.source
    wanted = manifest_images(manifest, source, partial(run_listing, run))
    pictures = list(thumbnails(wanted, source))
    image_ids = [image.image_id for image in wanted]
    table = pa.table({"image_id": image_ids, "picture": pictures}, schema=SCHEMA)
    key = _key(run, method)
    write_table(run.store, thumbnails_file(run, method), table, fingerprint=key)
    return dict(zip(image_ids, pictures, strict=True))


def _key(run: Run, method: str) -> str:
    """Return the fingerprint of all that the thumbnails are made from."""
    return fingerprint([VERSION, THUMBNAIL_SIDE, run.manifest_fingerprint(method)])


def kept_rows(manifest: pa.Table) -> pa.Table:
    """Return the rows of a manifest whose thumbnails are kept.

    These are the first choices of the first classes or groups, as many as the report shows; then
    the first choices of all others, then the second ones, and so on, while there is room.
    """
    name = manifest.column(name_column(manifest))
    first = pa.array(order_classes(selected_names(manifest))[:FULL_CLASSES], pa.string())
    is_shown = pc.and_(pc.is_in(name, first), pc.less(_choices(manifest), FULL_IMAGES))
    shown = manifest.filter(is_shown)
    rest = manifest.filter(pc.invert(is_shown))
    order = pc.sort_indices(rest, [("choice", "ascending"), ("class_index", "ascending")])
    room = max(0, MOST - len(shown))
    return pa.concat_tables([shown, rest.take(order.slice(0, room))])


def _choices(manifest: pa.Table) -> pa.Array:
    """Return the number of each image within its class or group, in the order of choice."""
    seen: Counter[str] = Counter()
    numbers = [0] * len(manifest)
    names = manifest.column(name_column(manifest)).to_pylist()
    for row in pc.sort_indices(manifest, [("choice", "ascending")]).to_pylist():
        numbers[row] = seen[names[row]]
        seen[names[row]] += 1
    return pa.array(numbers, pa.int64())
