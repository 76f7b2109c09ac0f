"""The hashes of the held-out images, read once, so that no copy of them is chosen."""

from collections.abc import Iterator

import pyarrow as pa

from jobs.command.progress import note
from jobs.run_directory.identity import identity
from jobs.run_directory.run import Run
from otcondense.datasets import Listing, scan_images
from otcondense.datasets.ahead import in_threads
from otcondense.datasets.listing import identity_of
from otcondense.datasets.readings import Reading, readings
from otcondense.store import fingerprint, read_fingerprint, sha256_bytes, write_table

PART = 4096
"""Images whose records are in memory at a time."""
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
    listing = scan_images(source)
    expected = fingerprint([identity(source), identity_of(listing.table)])
    if read_fingerprint(run.store, name) == expected:
        return
    note("select", f"reading {len(listing)} held-out images, whose copies are not chosen")
    hashes = list(_hashes(listing))
    unreadable = hashes.count("")
    if unreadable:
        note("select", f"{unreadable} held-out images cannot be read and are not compared")
    distinct = sorted(set(hashes) - {""})
    table = pa.table({"sha256": pa.array(distinct, pa.string())})
    write_table(run.store, name, table, fingerprint=expected)


def _hashes(listing: Listing) -> Iterator[str]:
    """Yield the SHA-256 of each image in storage order, "" for one that cannot be read."""
    order = listing.storage_order
    for start in range(0, len(order), PART):
        records = listing.take(order[start : start + PART])
        reads = readings(record.path for record in records)
        yield from in_threads(_hash, reads, threads=READERS, ahead=READERS)


def _hash(read: Reading) -> str:
    try:
        return sha256_bytes(read())
    except OSError:
        return ""
