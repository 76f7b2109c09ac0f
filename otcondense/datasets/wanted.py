"""Images to read: of a subset manifest or of a listing, each checked against its hash."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from otcondense.datasets.listing import Listing
from otcondense.datasets.locations import file_of, read_image_bytes
from otcondense.datasets.records import ImageRecord, SourceConfig, is_remote
from otcondense.datasets.sources import image_locations
from otcondense.errors import InputError
from otcondense.store.hashing import sha256_bytes


@dataclass(frozen=True)
class WantedImage:
    """One image to read, with the hash that tells whether it has changed."""

    image_id: str
    class_index: int
    path: str
    sha256: str | None
    """Expected SHA-256 of the file, None if unknown."""


def manifest_images(
    manifest: pa.Table, source: SourceConfig, listing: Callable[[], Listing] | None = None
) -> list[WantedImage]:
    """Return the images of a subset manifest in its order.

    Args:
        manifest: of the subset.
        source: of its images.
        listing: returns the listing of the source if it is needed; by default it is scanned.

    Raises: InputError if an entry leads out of the source's root or is not in it.
    """
    image_ids = manifest.column("image_id").to_pylist()
    class_indices = manifest.column("class_index").to_pylist()
    locations = image_locations(source, image_ids, listing)
    hashes = manifest.column("sha256").to_pylist()
    rows = zip(image_ids, class_indices, locations, hashes, strict=True)
    return [WantedImage(*row) for row in rows]


def record_images(records: Sequence[ImageRecord]) -> list[WantedImage]:
    """Return the images of a listing in its order."""
    return [
        WantedImage(record.image_id, record.class_index, record.path, None) for record in records
    ]


def read_wanted(wanted: WantedImage) -> bytes:
    """Return the bytes of an image file, checked against the manifest.

    Raises: InputError if the file is missing or has changed.
    """
    try:
        data = read_image_bytes(wanted.path)
    except OSError as error:
        reason = f"cannot be read ({error.strerror or error})"
        raise InputError(unusable_message(wanted.path, reason)) from error
    if wanted.sha256 is not None and sha256_bytes(data) != wanted.sha256:
        raise InputError(changed_message(wanted.path))
    return data


def unusable_message(location: str, reason: str) -> str:
    """Return the message about a chosen image that cannot be used."""
    return (
        f"image {location} of the subset {reason}; "
        "restore it, or take it out of the source and run the same command again from "
        "`otcondense extract_features` on"
    )


def changed_message(location: str) -> str:
    """Return the message about an image of another content.

    Its file can have the size and the time that it had, so that no stage would look at it again.
    """
    file = file_of(location)
    renew = "upload it again" if is_remote(file) else f"`touch {shlex.quote(file)}`"
    return (
        f"image {location} has changed since its features were extracted; restore {file}, or keep "
        f"it as it is: {renew}, then run the same command again from `python -m "
        "jobs.extract_features` on, which redoes the classes whose images have changed"
    )
