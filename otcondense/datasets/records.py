"""The configuration of a source, and the records of its images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from otcondense.config import Config
from otcondense.datasets.kinds import SOURCES, describe_kinds
from otcondense.datasets.names import is_below
from otcondense.errors import InputError
from otcondense.near_names import did_you_mean

PIXEL_LIMIT = 89_478_485
"""Largest image that is decoded by default: 256 MiB as 8-bit RGB."""
IDENTITY = ("path", "kind", "classes", "class_names", "max_pixels")
"""Settings of every source that decide which images there are and how they are decoded."""


OPTIONAL_IDENTITY = (
    "shards",
    "split",
    "part",
    "held_out_share",
    "only_used_classes",
    "captions",
)
"""Those that a source need not have."""
LEAST_CLASS = 20
"""Smallest class of which images are held out: of a smaller one, too few would be left or held out
to tell anything."""
PATTERN = frozenset("*?[")
"""Characters that make a path a pattern."""


class SourceConfig(Config):
    """Where the labelled images are."""

    path: str
    """Folder of the images, or fsspec URI such as s3://bucket/folder or hf://datasets/ORG/NAME; for
    other kinds than image_folder also a file, a pattern such as data/train-*.parquet, or a list of
    files and patterns."""
    shards: tuple[str, ...] = ()
    """The list, if `path` is given as one: `path` is then the folder that all of them lie in."""
    split: str | None = None
    """The part of the data set to use, such as train: only files with this word in their names or
    folders; for image_folder and hf, the folder of this name. A source that mixes splits is
    refused without it."""
    kind: str = Field(default="image_folder", description=describe_kinds())
    image_column: str = "image"
    """For parquet and hf, the column of the images: bytes, a struct of bytes and path, or (parquet)
    paths below the source folder."""
    label_column: str | None = "label"
    """For parquet, hf, manifest and features, the column of the labels, whole numbers or text; for
    webdataset, the key of the label in KEY.json. null is for images without labels, of any kind:
    all are of one class with the name of the folder."""
    captions: str | None = None
    """Where the text that describes each image is: for parquet, hf, manifest and features a column;
    for webdataset txt (KEY.txt) or json:NAME (a key in KEY.json); for folders txt (NAME.txt next to
    the image), metadata.jsonl or metadata.csv (columns file_name and text). An image without one
    counts as unreadable; null reads none."""
    id_column: str | None = None
    """For parquet, hf and features, the column of the image ids; by default an id is FILE/ROW."""
    features_column: str = "features"
    """For features in Parquet, the column of the features: lists of numbers, all of one length."""
    class_names: str | None = None
    """Text file with one class name per line; the index of a class is the number of its line, from
    0. By default it is the rank of the name among all classes. Set it for a folder with only some
    classes of ImageNet and a classifier of all."""
    classes: tuple[str, ...] | None = None
    """Names of the classes to use, all by default; a class keeps the index it has among all classes
    of the source."""
    only_used_classes: bool = False
    """For image_folder, whether the used classes are all that there are: folders without images,
    and those that `classes` does not name, have no index. `otcondense run FOLDER` sets it."""
    max_lost_share: float = Field(default=0.01, ge=0, le=1)
    """Largest share of images that may be unreadable (0 to 1); they are listed in
    _quarantine.parquet, and the run fails if there are more."""
    max_pixels: int = Field(default=PIXEL_LIMIT, ge=1, le=2 * PIXEL_LIMIT)
    """Images with more pixels are not decoded but counted as unreadable."""
    part: Literal["rest", "held_out"] | None = None
    """Use one part of the source: held_out is held_out_share of the images of each class with at
    least 20 images, the same ones each time (by a hash of their ids); rest is all others. Set rest
    for source and held_out for held_out, with one path, to hold out images of one folder."""
    held_out_share: float | None = Field(default=None, gt=0, lt=1)
    """Share of each class that is held out, for part."""
    allow_links: bool = False
    """Whether symbolic links may lead out of the source folder."""

    @model_validator(mode="before")
    @classmethod
    def _without_labels(cls, values: Any) -> Any:
        """Turn a folder of classes without labels into a folder of one class."""
        if not isinstance(values, Mapping) or values.get("label_column", "") is not None:
            return values
        if values.get("kind", "image_folder") != "image_folder":
            return values
        return {**values, "kind": "one_class"}

    @model_validator(mode="before")
    @classmethod
    def _take_list(cls, values: Any) -> Any:
        """Turn a list of shards into their folder and the list."""
        path = values.get("path") if isinstance(values, Mapping) else None
        if not isinstance(path, list | tuple):
            return values
        if not path or not all(isinstance(each, str) and each for each in path):
            raise ValueError("source.path must be a text, or a list of texts that is not empty")
        return {**values, "path": common_folder(path), "shards": tuple(path)}

    @field_validator("kind")
    @classmethod
    def _check_kind(cls, kind: str) -> str:
        if kind not in SOURCES:
            raise ValueError(f"must be one of {', '.join(SOURCES)}{did_you_mean(kind, SOURCES)}")
        return kind

    @model_validator(mode="after")
    def _check_captions(self) -> "SourceConfig":
        if self.captions is not None:
            fault = SOURCES[self.kind].captions.fault(self.captions)
            if fault:
                raise ValueError(f"captions of kind {self.kind} {fault}, found {self.captions!r}")
        return self

    @model_validator(mode="after")
    def _check_part(self) -> "SourceConfig":
        if (self.part is None) != (self.held_out_share is None):
            raise ValueError(
                "part and held_out_share must be set together, found "
                f"part={self.part} and held_out_share={self.held_out_share}"
            )
        return self

    @property
    def has_images(self) -> bool:
        """Whether the source has images, not only their features."""
        return SOURCES[self.kind].has_images

    @property
    def root(self) -> str:
        """Folder or URI below which the files lie: `path`, or the folder of the file or pattern."""
        if self.shards:
            return self.path
        return common_folder([self.path]) if is_pattern(self.path) else self.path

    def identity(self) -> dict[str, object]:
        """Return the settings that decide which images there are, for fingerprints.

        Those of `OPTIONAL_IDENTITY` are left out if they are not set, as in earlier versions.
        """
        kept = {*IDENTITY, *SOURCES[self.kind].identity_columns}
        kept |= {name for name in OPTIONAL_IDENTITY if getattr(self, name)}
        return self.model_dump(mode="json", include=kept)


@dataclass(frozen=True)
class ImageRecord:
    """One labelled image."""

    image_id: str
    """Path relative to the source root, with `/`."""
    class_name: str
    class_index: int
    """Rank of the class name among all classes of the source, in the order of `order_classes`."""
    path: str
    """Location of the image, for `read_image_bytes`."""
    size_bytes: int
    """Bytes of the image; in Parquet the mean of its row group."""
    mtime_ns: int
    """Time of the last change in ns since 1970, 0 if the store does not know it."""


def is_pattern(path: str) -> bool:
    """Tell whether a path is a pattern such as train-*.parquet, and not the name of a file."""
    if not PATTERN & set(path):
        return False
    return is_remote(path) or not Path(path).exists()


def common_folder(paths: Sequence[str]) -> str:
    """Return the lowest folder that holds all of some files and patterns."""
    folders = [_fixed_parts(path) for path in paths]
    common = folders[0]
    for parts in folders[1:]:
        same = [one == other for one, other in zip(common, parts, strict=False)]
        common = common[: (*same, False).index(False)]
    return "/".join(common) or ("/" if paths[0].startswith("/") else ".")


def _fixed_parts(path: str) -> list[str]:
    """Return the folders of a path up to the first that is a pattern."""
    parts = path.split("/")[:-1]
    places = [place for place, part in enumerate(parts) if PATTERN & set(part)]
    return parts[: places[0]] if places else parts


def is_remote(path: str) -> bool:
    """Tell whether `path` is a URI rather than a path of this machine."""
    return "://" in path


def image_path(source: SourceConfig, image_id: str) -> str:
    """Return the path of the image `image_id`.

    Raises: InputError if the id would lead out of the root of the source.
    """
    if not is_below(image_id):
        raise InputError(
            f"image_id must be a relative path below {source.path}, found {image_id!r}; "
            "the manifest is not one of this source"
        )
    if is_remote(source.path):
        return f"{source.path.rstrip('/')}/{image_id}"
    root = resolved(Path(source.path))
    path = root / image_id
    if not source.allow_links and not resolved(path).is_relative_to(root):
        raise InputError(
            f"{path} leads out of {root} to {path.resolve()}; "
            "set source.allow_links=true if that is wanted"
        )
    return str(path)


def resolved(path: Path) -> Path:
    """Return a path without symbolic links.

    Raises: InputError for a link that leads to itself.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path} is a symbolic link that leads to itself; correct it") from error
