"""The kinds of sources, by name."""

from collections.abc import Callable
from functools import lru_cache

from otcondense.datasets.arrow_files import scan_arrow
from otcondense.datasets.feature_files import scan_features
from otcondense.datasets.files import source_state
from otcondense.datasets.image_folder import scan_image_folder
from otcondense.datasets.parquet_files import scan_parquet
from otcondense.datasets.records import ImageRecord, Listing, SourceConfig, image_path
from otcondense.datasets.tar_shards import scan_tar_shards
from otcondense.errors import InputError

SOURCES: dict[str, Callable[[SourceConfig], Listing]] = {
    "image_folder": scan_image_folder,
    "parquet": scan_parquet,
    "webdataset": scan_tar_shards,
    "hf": scan_arrow,
    "features": scan_features,
}
LISTINGS_KEPT = 2
"""Listings of containers that a process keeps: of the source and of the held-out images."""


def scan_images(source: SourceConfig) -> Listing:
    """Return the classes, images and ignored files of a source.

    Raises: InputError naming the folder, file, class or link that is not as it must be.
    """
    if source.kind == "image_folder":
        return scan_image_folder(source)
    return _scan_container(source, source_state(source))


@lru_cache(maxsize=LISTINGS_KEPT)
def _scan_container(source: SourceConfig, _state: tuple[tuple[str, int, int], ...]) -> Listing:
    """Scan a container once while it stays as it is: reading the headers of large tars takes minutes."""
    return SOURCES[source.kind](source)


def list_images(source: SourceConfig) -> list[ImageRecord]:
    """Return the images of a source, sorted by class and `image_id`.

    Raises: InputError as `scan_images` does.
    """
    return scan_images(source).records


def image_locations(source: SourceConfig, image_ids: list[str]) -> list[str]:
    """Return where to read each of these images, for `read_image_bytes`.

    Raises: InputError if an identifier would lead out of the source, or is not one of it.
    """
    if source.kind == "image_folder":
        return [image_path(source, image_id) for image_id in image_ids]
    known = {record.image_id: record.path for record in list_images(source)}
    for image_id in image_ids:
        if image_id not in known:
            raise InputError(
                f"{source.path} has no image {image_id!r}; the manifest is not one of this source"
            )
    return [known[image_id] for image_id in image_ids]
