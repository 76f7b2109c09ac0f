"""PATH/CLASS/IMAGE: a folder per class, as torchvision's ImageFolder reads it.

The suffix of a file decides whether it is an image; the decoder looks at the content, so a PNG
named .JPEG is read. Other files and hidden ones are ignored and counted. Symbolic links must stay
below the root.
"""

from collections.abc import Iterable

from otcondense.datasets.files import SourceFile, list_tree
from otcondense.datasets.from_records import listing_of
from otcondense.datasets.labels import read_class_names, shorten, used_classes
from otcondense.datasets.listing import Listing
from otcondense.datasets.names import check_class_name, check_relative_path, order_classes
from otcondense.datasets.records import ImageRecord, SourceConfig
from otcondense.errors import InputError

IMAGE_SUFFIXES = frozenset(
    {
        ".avif",
        ".bmp",
        ".gif",
        ".jfif",
        ".jpeg",
        ".jpg",
        ".pgm",
        ".png",
        ".ppm",
        ".tif",
        ".tiff",
        ".webp",
    }
)
"""Suffixes of the formats in `otcondense.datasets.decoding.FORMATS`."""


def scan_image_folder(source: SourceConfig) -> Listing:
    """Return the classes, images and ignored files below `source.path`.

    Raises: InputError for a missing root, no class folders, a class without images, unknown class
        names, a link that leaves the root or leads to itself, or a name that a later stage could
        not use.
    """
    folders, files = list_tree(source)
    if not folders:
        raise InputError(
            f"{source.path} must hold one folder of images per class, "
            f"found no folder and {len(files)} file(s)"
        )
    used = used_classes(source, folders)
    classes = _all_classes(source, folders)
    index = {name: position for position, name in enumerate(classes)}
    images = [file for file in files if _is_image(file) and _folder(file) in used]
    _refuse_empty(source, used, images)
    for name in sorted(used):
        check_class_name(name, source.path)
    for file in images:
        check_relative_path(file.name, source.path)
    records = [_record(file, index) for file in images]
    records.sort(key=lambda record: (record.class_index, record.image_id))
    ignored = sorted(file.name for file in files if not _is_image(file))
    return listing_of(classes, records, ignored)


def _is_image(file: SourceFile) -> bool:
    return "/" in file.name and not file.is_hidden and file.suffix in IMAGE_SUFFIXES


def _folder(file: SourceFile) -> str:
    return file.name.split("/", 1)[0]


def _record(file: SourceFile, index: dict[str, int]) -> ImageRecord:
    name = _folder(file)
    return ImageRecord(file.name, name, index[name], file.path, file.size_bytes, file.mtime_ns)


def _all_classes(source: SourceConfig, folders: list[str]) -> tuple[str, ...]:
    """Return the classes in the order of their indices."""
    names = read_class_names(source)
    if names is None:
        return tuple(order_classes(folders))
    unknown = sorted(set(folders) - set(names))
    if unknown:
        raise InputError(
            f"every class folder of {source.path} must be a line of {source.class_names}, "
            f"missing there: {shorten(unknown)}"
        )
    return names


def _refuse_empty(source: SourceConfig, used: frozenset[str], images: Iterable[SourceFile]) -> None:
    empty = sorted(used - {_folder(file) for file in images})
    if empty:
        raise InputError(
            f"every class folder of {source.path} must hold at least one image "
            f"({' '.join(sorted(IMAGE_SUFFIXES))}), found {len(empty)} without: {shorten(empty)}; "
            "fill the folder, or name the wanted ones in `classes`"
        )
