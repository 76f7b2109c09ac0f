"""The listing of a run's source: made before features are extracted, read by all later stages."""

from jobs.run_directory.run import Run
from otcondense.datasets import (
    Listing,
    scan_images,
    source_listing,
    write_captions,
    write_listing,
)


def scan_source(run: Run) -> Listing:
    """Return the images that the source has now; the next `write_source_listing` stores them."""
    listing = scan_images(run.config.source)
    run.scanned[:] = [listing]
    return listing


def write_source_listing(run: Run) -> Listing:
    """List the source, unless this command has just done it, and write its listing into the run."""
    listing = run.scanned.pop() if run.scanned else scan_images(run.config.source)
    write_listing(run.store, run.config.source, listing)
    if run.config.source.captions is not None:
        write_captions(run.store, run.captions_file(), listing)
    return listing


def run_listing(run: Run) -> Listing:
    """Return the images of a run: those of the stored listing, else those the source has now.

    Raises: InputError as `scan_images` does.
    """
    if run.scanned:
        return run.scanned[0]
    return source_listing(run.store, run.config.source)
