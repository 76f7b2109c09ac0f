"""What every source of images gives: records of labelled images, below one root that no name can leave."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from otcondense.config import Config
from otcondense.errors import InputError

PIXEL_LIMIT = 89_478_485
"""Largest image that is decoded by default: 256 MiB as 8-bit RGB."""


class SourceConfig(Config):
    """Where the labelled images are."""

    path: str
    """Folder, or fsspec URI such as s3://bucket/folder, of the images: one folder per class, or the files of another kind."""
    kind: Literal["image_folder", "parquet", "webdataset", "hf", "features"] = "image_folder"
    """How the source is laid out: image_folder is PATH/CLASS/IMAGE, also with folders inside a class; parquet is a file or a folder of
    them with a column of images (bytes, or paths below PATH) and one of labels; webdataset is a tar file or a folder of them; hf is a
    data set that Hugging Face's save_to_disk wrote (one split); features is Parquet or npy with features of no images at all."""
    image_column: str = "image"
    """For parquet and hf, the column of the images: bytes, a struct of bytes and path, or (parquet) paths below the source folder."""
    label_column: str = "label"
    """For parquet, hf and features, the column of the labels, whole numbers or text; for webdataset, the key of the label in KEY.json."""
    id_column: str | None = None
    """For parquet, hf and features, the column of the image ids; by default an id is FILE/ROW."""
    features_column: str = "features"
    """For features in Parquet, the column of the features: lists of numbers, all of one length."""
    class_names: str | None = None
    """Text file with one class name per line; a class gets its line number, from 0, as index, in place of its rank among the names
    that are there. For a folder with a part of ImageNet's classes and a classifier of all."""
    classes: tuple[str, ...] | None = None
    """Names of the classes to use, all by default; a class keeps the index it has among all classes of the source."""
    max_lost_share: float = Field(default=0.01, ge=0, le=1)
    """Largest share of images that may be unreadable (0 to 1); they are listed in _quarantine.parquet, and beyond it the run fails."""
    max_pixels: int = Field(default=PIXEL_LIMIT, ge=1, le=2 * PIXEL_LIMIT)
    """Images of more pixels than this are not decoded but counted as unreadable."""
    allow_links: bool = False
    """Whether symbolic links may lead out of the source folder."""

    @property
    def has_images(self) -> bool:
        """Whether the source holds images, not only their features."""
        return self.kind != "features"

    def identity(self) -> dict[str, object]:
        """Return the settings that decide which images there are and how they are decoded, for fingerprints."""
        kept = {"path", "kind", "classes", "class_names", "max_pixels"}
        columns = (
            set()
            if self.kind == "image_folder"
            else {"image_column", "label_column", "id_column", "features_column"}
        )
        return self.model_dump(mode="json", include=kept | columns)


@dataclass(frozen=True)
class ImageRecord:
    """One labelled image file."""

    image_id: str
    """Path relative to the source root, with `/`."""
    class_name: str
    class_index: int
    """Rank of the class name among all classes of the source, in sorted order."""
    path: str
    """Where to read it, for `read_image_bytes`: an absolute path, a URI, or a place inside such a file."""
    size_bytes: int
    """Bytes of the image; in Parquet the mean of its row group."""
    mtime_ns: int
    """Time of last change in ns since 1970, 0 where the store does not tell."""


@dataclass(frozen=True)
class Listing:
    """What a source holds."""

    classes: tuple[str, ...]
    """All class names of the source in sorted order, also those that are not used."""
    records: list[ImageRecord]
    """The images of the used classes, sorted by class and `image_id`."""
    ignored: list[str]
    """Files without an image suffix, outside class folders or hidden, relative to the root, sorted."""


def by_class(records: Iterable[ImageRecord]) -> dict[str, list[ImageRecord]]:
    """Return the records of each class, classes and records in the order given."""
    classes: dict[str, list[ImageRecord]] = {}
    for record in records:
        classes.setdefault(record.class_name, []).append(record)
    return classes


def records_identity(records: Iterable[ImageRecord]) -> list[list[object]]:
    """Return `[image_id, size_bytes, mtime_ns]` of each record: what changes when an input file changes."""
    return [[record.image_id, record.size_bytes, record.mtime_ns] for record in records]


def is_remote(path: str) -> bool:
    """Tell whether `path` is a URI rather than a path of this machine."""
    return "://" in path


def image_path(source: SourceConfig, image_id: str) -> str:
    """Return where to read `image_id`.

    Raises: InputError if the identifier would lead out of the source's root.
    """
    if (
        not image_id
        or image_id.startswith("/")
        or "\\" in image_id
        or {"", ".", ".."} & set(image_id.split("/"))
    ):
        raise InputError(
            f"image_id must be a relative path below {source.path}, found {image_id!r}; the manifest is not one of this source"
        )
    if is_remote(source.path):
        return f"{source.path.rstrip('/')}/{image_id}"
    root = Path(source.path).resolve()
    path = root / image_id
    if not source.allow_links and not _resolved(path).is_relative_to(root):
        raise InputError(
            f"{path} leads out of {root} to {path.resolve()}; set allow_links=true if that is wanted"
        )
    return str(path)


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path} is a symbolic link that leads to itself; remove it") from error
