"""Images with the same bytes in several classes, which is often a mistake of the labels."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.report.answer import LeftOut
from otcondense.store import class_files, read_columns

MOST_IMAGES = 50_000
"""Most images of a source whose hashes are compared: it takes a second, each time it is asked."""
SHOWN = 3
"""Images that are named."""


def copies_across_classes(run: Run) -> Iterator[LeftOut]:
    """Yield the images that lie in several classes; none is left out.

    Each class selects from its own images, and merges copies in it only.

    Raises: InputError if a file of features is damaged.
    """
    listing = run_listing(run)
    if not run.config.source.has_images or not 0 < len(listing) <= MOST_IMAGES:
        return
    tables = list(_hashes(run, listing.names))
    if not tables:
        return
    images = pa.concat_tables(tables)
    groups = images.group_by("sha256").aggregate([("class", "count_distinct")])
    shared = groups.filter(pc.greater(groups.column("class_count_distinct"), 1)).column("sha256")
    found = images.filter(pc.is_in(images.column("sha256"), shared.combine_chunks()))
    if len(found):
        names = found.sort_by([("sha256", "ascending"), ("image_id", "ascending")])
        yield LeftOut(
            count=len(found),
            what="image",
            reason="with the same bytes in another class",
            examples=tuple(names.column("image_id").to_pylist()[:SHOWN]),
            done="kept in each: delete those in the wrong class",
            is_kept=True,
        )


def _hashes(run: Run, classes: list[str]) -> Iterator[pa.Table]:
    """Yield the ids and hashes of the images of each class whose features are there."""
    directory = run.features_directory(run.config.encoder)
    for name in classes:
        for file in filter(run.store.exists, class_files(run.store, directory, name)):
            table = read_columns(run.store, file, ("image_id", "sha256"))
            yield table.append_column("class", pa.array([name] * len(table), pa.string()))
