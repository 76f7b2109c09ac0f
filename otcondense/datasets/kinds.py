"""The kinds of sources: all that other modules need to know of a kind stands in `SOURCES`.

This module imports no heavy library, so functions are named as `module:function`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name

COLUMNS = ("image_column", "label_column", "id_column", "features_column")
"""Settings of a source that name columns of its files."""


@dataclass(frozen=True)
class Reader:
    """Reads images that lie inside other files."""

    prefix: str
    """First part of the location of such an image: `PREFIX:PLACE@FILE`."""
    function: str
    """Takes PLACE and FILE, returns the bytes of the image."""

    def read(self, place: str, path: str) -> bytes:
        """Return the bytes of one image."""
        function: Callable[[str, str], bytes] = resolve_name(self.function)
        return function(place, path)


@dataclass(frozen=True)
class CaptionPlaces:
    """Where the captions of a kind of source can be."""

    places: tuple[str, ...] = ()
    """Fixed words for `source.captions`; () if it is the name of a column."""
    prefixes: tuple[str, ...] = ()
    """Beginnings that the name of a key or column follows."""

    def fault(self, captions: str) -> str:
        """Return what is wrong with a setting, empty if nothing is."""
        if not self.places:
            return "" if captions.strip() else "must be the name of a column"
        named = any(captions.startswith(each) and captions != each for each in self.prefixes)
        if captions in self.places or named:
            return ""
        others = [f"{each}NAME" for each in self.prefixes]
        return f"must be {', '.join([*self.places, *others])}"


COLUMN = CaptionPlaces()
IN_FOLDERS = CaptionPlaces(
    ("txt", "metadata.jsonl", "metadata.csv"), ("metadata.jsonl:", "metadata.csv:")
)
IN_TARS = CaptionPlaces(("txt",), ("json:",))


@dataclass(frozen=True)
class Source:
    """One kind of source: how to list it, how to read its images, and what it can do."""

    layout: str
    """How such a source is laid out, for `--help`."""
    folder: str
    """Which folder such a source is, for messages."""
    scanner: str
    """Function that takes a `SourceConfig` and returns its `Listing`."""
    reader: Reader | None = None
    """Reader of images inside other files; None if every image is a file of its own."""
    has_images: bool = True
    """Whether there are images, not only their features."""
    images_are_files: bool = False
    """Whether every image is a file below the root, and its id the path of the file there."""
    id_has_class: bool = False
    """Whether the first folder of an id is its class."""
    split_is_folder: bool = False
    """Whether a split is a folder below the root, not a part of the files."""
    identity_columns: tuple[str, ...] = COLUMNS
    """Names of columns that are part of the identity of a source."""
    captions: CaptionPlaces = COLUMN
    """Where the captions can be."""


BYTE_RANGES = Reader("bytes", "otcondense.datasets.byte_ranges:read_range")

SOURCES: dict[str, Source] = {
    "image_folder": Source(
        layout="PATH/CLASS/IMAGE, also with folders inside a class",
        folder="with one folder per class",
        scanner="otcondense.datasets.image_folder:scan_image_folder",
        images_are_files=True,
        id_has_class=True,
        split_is_folder=True,
        identity_columns=(),
        captions=IN_FOLDERS,
    ),
    "one_class": Source(
        layout="PATH/IMAGE, also with folders: all images are of one class",
        folder="of images",
        scanner="otcondense.datasets.one_class:scan_one_class",
        images_are_files=True,
        split_is_folder=True,
        identity_columns=(),
        captions=IN_FOLDERS,
    ),
    "parquet": Source(
        layout="Parquet files with a column of images (bytes, or paths "
        "below PATH) and a column of labels",
        folder="of Parquet files",
        scanner="otcondense.datasets.parquet_files:scan_parquet",
        reader=Reader("cell", "otcondense.datasets.parquet_cells:read_cell"),
    ),
    "webdataset": Source(
        layout="tar files",
        folder="of tar files",
        scanner="otcondense.datasets.tar_shards:scan_tar_shards",
        reader=BYTE_RANGES,
        captions=IN_TARS,
    ),
    "hf": Source(
        layout="a data set that Hugging Face's save_to_disk wrote (one split)",
        folder="that save_to_disk wrote",
        scanner="otcondense.datasets.arrow_files:scan_arrow",
        reader=BYTE_RANGES,
        split_is_folder=True,
    ),
    "manifest": Source(
        layout="a CSV or JSONL file or a folder of them, with a column of paths and a column of "
        "labels",
        folder="with CSV or JSONL files",
        scanner="otcondense.datasets.manifest_files:scan_manifest",
    ),
    "features": Source(
        layout="features without images, as Parquet or npy files",
        folder="of Parquet or npy files",
        scanner="otcondense.datasets.feature_files:scan_features",
        reader=Reader("features", "otcondense.datasets.feature_files:refuse_to_read"),
        has_images=False,
    ),
}
"""Every kind of source by its name in the configuration."""


def describe_kinds() -> str:
    """Return the description of the setting `source.kind`."""
    kinds = [f"{name} is {source.layout}" for name, source in SOURCES.items()]
    return f"How the source is laid out: {'; '.join(kinds)}."


def reader_of(location: str) -> Reader | None:
    """Return the reader of an image inside another file, None for an image that is a file."""
    prefix = location.partition(":")[0]
    for source in SOURCES.values():
        if source.reader is not None and source.reader.prefix == prefix:
            return source.reader
    return None
