"""A subset to train on: of a run, of an exported file, or of a manifest and its source."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa

from otcondense.datasets import (
    Listing,
    SourceConfig,
    captions_of,
    scan_images,
    source_listing,
)
from otcondense.datasets.files import container_files
from otcondense.datasets.parquet_open import open_parquet
from otcondense.datasets.stored_captions import listed_captions
from otcondense.datasets.wanted import WantedImage, manifest_images
from otcondense.errors import InputError
from otcondense.exports.export import names_by_index
from otcondense.exports.hub_metadata import TEXT_COLUMN
from otcondense.store import MANIFEST_COLUMNS, Store, read_manifest
from otcondense.training_data.workflow import ask_workflow

PLACES = "jobs.answers.places"
"""Module of the workflow that knows the names of the files of a run."""
REPRESENTATIONS = ("latents", "tokens", "text")


@dataclass(frozen=True)
class SubsetImage:
    """One chosen image."""

    image_id: str
    class_name: str
    label: int
    """Index of the class among all classes of the source."""
    weight: float
    """Share of its class that it represents, times the number of images chosen from the class: 1
    on average, unless images were left out."""
    represented_mass: float
    """Share of its class that it represents."""
    rank: int
    """Place by decreasing gain in its class, from 0."""
    sha256: str
    """Of the bytes of the image."""
    caption: str | None = None
    """None if the source has no captions."""


@dataclass(frozen=True)
class Origin:
    """Where a subset comes from."""

    name: str
    """Run directory or file, for messages."""
    store: Store | None = None
    """Of the run; None for a subset that comes from elsewhere."""
    places: Mapping[str, str] = field(default_factory=dict)
    """Names in the store by kind: latents, tokens, text."""


@dataclass(frozen=True)
class Subset:
    """Chosen images, where they are, and what a run has stored of them."""

    images: list[SubsetImage]
    """By class, then in the order of choice."""
    wanted: list[WantedImage]
    """The same images, to be read."""
    classes: list[str]
    """Names of all classes of the source by index."""
    source: SourceConfig
    origin: Origin


def run_subset(run: str | Path, method: str = "geometry_aware") -> Subset:
    """Return the subset that a method chose in a run.

    Args:
        run: run directory, or its URI such as s3://bucket/run.
        method: name of the subset: a selection method, or METHOD-BUDGET with nested budgets.

    Raises: InputError if there is no such run or subset, it is not chosen yet, or its source has
        no images.
    """
    found = ask_workflow(PLACES, str(run), method)
    store = Store(found["root"])
    # The listing of the run has the name of the source as the run knows it.
    listing = partial(source_listing, store, SourceConfig(**found["source"]))
    manifest = read_manifest(store, found["manifest"])
    origin = Origin(str(run), store, {kind: found[kind] for kind in REPRESENTATIONS})
    images = SourceConfig(**found["images"])
    ids = manifest.column("image_id").combine_chunks()
    captions = None
    if images.captions is not None:
        captions = captions_of(store, found["captions"], ids)
    return _subset(manifest, images, listing, origin, captions)


def exported_subset(path: str | Path) -> Subset:
    """Return the subset in an export with its images; the run and its source may be gone.

    Args:
        path: what `otcondense export --format parquet` or `--format hf` wrote: a file, or a folder
            of such files.

    Raises: InputError if it is no such export, or was written without images.
    """
    source = SourceConfig(path=str(path), kind="parquet", id_column="image_id")
    tables = []
    texts: list[pa.ChunkedArray] = []
    for file in container_files(source, ".parquet")[0]:
        with open_parquet(file.path) as opened:
            _check_columns(file.path, opened.schema.names)
            tables.append(pa.table({name: opened.column(name) for name in MANIFEST_COLUMNS}))
            if TEXT_COLUMN in opened.schema.names:
                texts.append(opened.column(TEXT_COLUMN).cast(pa.string()))
    listing = partial(scan_images, source)
    captions = None
    if texts:
        captions = pa.chunked_array([chunk for column in texts for chunk in column.chunks])
    return _subset(pa.concat_tables(tables), source, listing, Origin(str(path)), captions)


def _check_columns(path: str, names: list[str]) -> None:
    missing = [name for name in (*MANIFEST_COLUMNS, "image") if name not in names]
    if missing:
        raise InputError(
            f"{path} must be a subset with its images, found no column {', '.join(missing)}; write "
            "one with `otcondense export RUN --format parquet --output FILE`"
        )


def manifest_subset(manifest: str | Path, source: SourceConfig) -> Subset:
    """Return the subset that a manifest lists; its images are in their source.

    Args:
        manifest: a `manifest.parquet` of a run, or a copy of it.
        source: of the images.

    Raises: InputError if the manifest is damaged or missing, or is not one of this source.
    """
    path = Path(manifest)
    table = read_manifest(Store(str(path.absolute().parent)), path.name)
    listing = partial(scan_images, source)
    captions = None
    if source.captions is not None:
        captions = listed_captions(listing(), table.column("image_id").combine_chunks())
    return _subset(table, source, listing, Origin(str(manifest)), captions)


def _subset(
    manifest: pa.Table,
    source: SourceConfig,
    listing: Callable[[], Listing],
    origin: Origin,
    captions: pa.Array | pa.ChunkedArray | None,
) -> Subset:
    """Return a subset with the images of a manifest.

    Raises: InputError if the source has no images, or other ones.
    """
    if not source.has_images:
        raise InputError(
            f"{origin.name} must be of a source of images, found features without images; "
            "use the ids in its manifest instead (`otcondense export RUN --format json`)"
        )
    names = ("image_id", "class_name", "class_index", "weight", "represented_mass")
    columns = [manifest.column(name).to_pylist() for name in (*names, "rank", "sha256")]
    columns.append([None] * len(manifest) if captions is None else captions.to_pylist())
    images = [SubsetImage(*row) for row in zip(*columns, strict=True)]
    named = {image.label: image.class_name for image in images}
    wanted = manifest_images(manifest, source, listing)
    classes = names_by_index(named, source, listing)
    return Subset(images, wanted, classes, source, origin)
