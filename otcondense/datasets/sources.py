"""List a source of any kind, and find its images."""

import ctypes
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pkgutil import resolve_name

import pyarrow as pa

from otcondense.datasets.files import source_state
from otcondense.datasets.hold_out import of_part
from otcondense.datasets.kinds import SOURCES
from otcondense.datasets.listing import Listing, Records
from otcondense.datasets.records import SourceConfig, image_path
from otcondense.errors import InputError

LISTINGS_KEPT = 2
"""Listings that a process keeps: of the source and of the held-out images."""


def scan_images(source: SourceConfig) -> Listing:
    """Return the classes, images and ignored files of a source.

    Raises: InputError naming the folder, file, class or link that is not as it must be.
    """
    source = of_split(source)
    if SOURCES[source.kind].reader is None:
        # The state of images that are files is the list of these files: there is nothing to save.
        return _scan(source)
    return _scan_unless_unchanged(source, source_state(source))


def of_split(source: SourceConfig) -> SourceConfig:
    """Return the source of one split, for kinds whose splits are folders."""
    if source.split is None or not SOURCES[source.kind].split_is_folder:
        return source
    path = f"{source.path.rstrip('/')}/{source.split}"
    return source.model_copy(update={"path": path, "split": None})


@lru_cache(maxsize=LISTINGS_KEPT)
def _scan_unless_unchanged(source: SourceConfig, _state: str) -> Listing:
    """Scan a source once as long as it does not change: the headers of large tars take minutes."""
    return _scan(source)


def _scan(source: SourceConfig) -> Listing:
    scanner: Callable[[SourceConfig], Listing] = resolve_name(SOURCES[source.kind].scanner)
    listing = of_part(source, scanner(source))
    give_memory_back()
    return listing


def give_memory_back() -> None:
    """Return the memory of intermediate columns to the system: twice that of the listing itself.

    The allocators of Arrow and of the C library would keep it.
    """
    pa.default_memory_pool().release_unused()
    with suppress(AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def list_images(source: SourceConfig) -> Records:
    """Return the images of a source, sorted by class and `image_id`.

    Raises: InputError as `scan_images` does.
    """
    return scan_images(source).records


def image_locations(
    source: SourceConfig, image_ids: list[str], listing: Callable[[], Listing] | None = None
) -> list[str]:
    """Return the location of each image, for `read_image_bytes`.

    Args:
        source: of the images.
        image_ids: of the images.
        listing: returns the listing of the source if it is needed; by default it is scanned.

    Raises: InputError if an id leads out of the source, or the source has no such image.
    """
    source = of_split(source)
    if SOURCES[source.kind].images_are_files:
        return [image_path(source, image_id) for image_id in image_ids]
    found = scan_images(source) if listing is None else listing()
    rows = found.find(image_ids)
    for image_id in image_ids:
        if image_id not in rows:
            raise InputError(
                f"{source.path} has no image {image_id!r}; the manifest is not one of this source"
            )
    return [record.path for record in found.take(rows[image_id] for image_id in image_ids)]
