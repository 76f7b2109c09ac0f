"""The kinds of sources, by name."""

from collections.abc import Callable

from otcondense.datasets.image_folder import scan_image_folder
from otcondense.datasets.records import ImageRecord, Listing, SourceConfig

SOURCES: dict[str, Callable[[SourceConfig], Listing]] = {"image_folder": scan_image_folder}


def scan_images(source: SourceConfig) -> Listing:
    """Return the classes, images and ignored files of a source.

    Raises: InputError naming the folder, class or link that is not as it must be.
    """
    return SOURCES[source.kind](source)


def list_images(source: SourceConfig) -> list[ImageRecord]:
    """Return the images of a source, sorted by class and `image_id`.

    Raises: InputError as `scan_images` does.
    """
    return scan_images(source).records
