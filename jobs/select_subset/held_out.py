"""The hashes of the held-out images, read once, so that no copy of them is chosen."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from jobs.command.progress import note
from jobs.run_directory.identity import identity
from jobs.run_directory.run import Run
from otcondense.datasets import (
    SOURCES,
    ImageRecord,
    SourceConfig,
    list_images,
    read_image_bytes,
    records_identity,
)
from otcondense.store import fingerprint, read_fingerprint, sha256_bytes, write_table

READERS = 16
"""Files read at a time: a remote store takes tens of milliseconds for each."""


def write_held_out_hashes(run: Run) -> None:
    """Write the SHA-256 of every held-out image to the run, unless it is there and up to date.

    Unreadable images are left out and counted: they equal no image with features.
    """
    name = run.held_out_hashes()
    source = run.config.held_out
    if name is None or source is None:
        return
    records = list_images(source)
    expected = fingerprint([identity(source), records_identity(records)])
    if read_fingerprint(run.store, name) == expected:
        return
    note("select", f"reading {len(records)} held-out images, whose copies are not chosen")
    hashes = list(_hashes(source, records))
    unreadable = hashes.count("")
    if unreadable:
        note("select", f"{unreadable} held-out images cannot be read and are not compared")
    distinct = sorted(set(hashes) - {""})
    table = pa.table({"sha256": pa.array(distinct, pa.string())})
    write_table(run.store, name, table, fingerprint=expected)


def _hashes(source: SourceConfig, records: list[ImageRecord]) -> Iterator[str]:
    """Yield the SHA-256 of each image, "" for one that cannot be read."""
    # Readers of images inside other files go through them in order, and are not made for threads.
    if not SOURCES[source.kind].images_are_files:
        yield from map(_hash, records)
        return
    with ThreadPoolExecutor(READERS) as pool:
        yield from pool.map(_hash, records)


def _hash(record: ImageRecord) -> str:
    try:
        return sha256_bytes(read_image_bytes(record.path))
    except OSError:
        return ""
