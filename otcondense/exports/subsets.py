"""A subset in the formats of other tools; a new one is a function and an entry in `EXPORTS`."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import pyarrow as pa
from pydantic import Field, field_validator

from otcondense.config import Config
from otcondense.datasets.listing import Listing
from otcondense.datasets.records import SourceConfig
from otcondense.datasets.sources import scan_images
from otcondense.datasets.wanted import manifest_images
from otcondense.errors import InputError
from otcondense.exports.card.facts import About
from otcondense.exports.diffusers_folder import check_prompt, write_diffusers
from otcondense.exports.export import Encoding, Export, Format
from otcondense.exports.formats import write_json_list, write_parquet
from otcondense.exports.hugging_face import write_hugging_face
from otcondense.exports.image_folder import (
    plan_image_folder,
    plan_placed_images,
    write_image_folder,
)
from otcondense.exports.outputs import new_output
from otcondense.exports.tar_shards import plan_webdataset, write_webdataset
from otcondense.store.local_files import write_whole

EXPORTS = {
    "json": Format(
        write_json_list,
        "relative paths of the images in order of choice",
        needs_images=lambda _: False,
    ),
    "image_folder": Format(write_image_folder, "OUTPUT/CLASS/IMAGE", plan_image_folder),
    "parquet": Format(write_parquet, "one file of the manifest with the images"),
    "webdataset": Format(write_webdataset, "tar shards with an index", plan_webdataset),
    "hf": Format(
        write_hugging_face,
        "Hugging Face data set with a card",
        needs_images=lambda export: export.with_images,
    ),
    "diffusers": Format(
        write_diffusers, "folder with captions for diffusers' scripts", plan_placed_images
    ),
}
"""Every format by its name."""


def _describe_formats() -> str:
    meanings = [f"{name}: {known.meaning}" for name, known in EXPORTS.items()]
    return f"{'; '.join(meanings)}."


class ExportConfig(Config):
    """Format and place of an exported subset."""

    output: str
    """File (json, parquet) or folder (the others) to write; it must not exist yet."""
    format: str = Field(default="json", description=_describe_formats())
    files: Literal["link", "copy"] = "link"
    """For image_folder and diffusers: symbolic links to the source's images, or copies of them."""
    images: bool = True
    """For hf: whether the images themselves are in the data set; a list of them alone may be shared
    freely."""
    encode: Encoding = "keep"
    """For webdataset: keep the bytes of the images, all under the key jpg, or make all of them JPEG
    or PNG files."""
    prompt: str | None = None
    """For diffusers: the text of an image; {class_name} is replaced by the name of its class,
    {caption} by the caption of the source. null takes the caption, or "a photo of {class_name}"."""

    @field_validator("format")
    @classmethod
    def _check_format(cls, name: str) -> str:
        if name not in EXPORTS:
            raise ValueError(f"must be one of {', '.join(EXPORTS)}")
        return name


def export_subset(
    manifest: pa.Table,
    source: SourceConfig,
    config: ExportConfig,
    say: Callable[[str], None] = lambda _: None,
    listing: Callable[[], Listing] | None = None,
    about: About | None = None,
    captions: pa.Array | None = None,
) -> int:
    """Write a subset in another format, whole or not at all, and return its number of images.

    Args:
        manifest: of the subset.
        source: of its images.
        config: format and place.
        say: gets a sentence on every kind of change to the images, before and after.
        listing: returns the listing of the source if it is needed; by default it is scanned.
        about: what the card of a data set says; by default only what the manifest says.
        captions: of the images, in the order of the manifest; None without any.

    Raises: InputError if the output exists, an entry leads out of the source's root, or an image is
        missing or changed.
    """
    if config.prompt is not None:
        check_prompt(config.prompt, has_captions=captions is not None)
    output = new_output(config.output)
    listing = listing or partial(scan_images, source)
    images = manifest_images(manifest, source, listing)
    export = Export(
        manifest=manifest,
        images=images,
        source=source,
        listing=listing,
        files=config.files,
        with_images=config.images,
        encode=config.encode,
        prompt=config.prompt,
        about=about or About(),
        captions=captions,
    )
    form = EXPORTS[config.format]
    if form.needs_images(export) and not source.has_images:
        raise InputError(
            f"{source.path} holds features and no images, so that a subset can be written as json, "
            f"or as hf without images (--no-images), found {config.format}"
        )
    for sentence in form.plan(export):
        say(sentence)
    with write_whole(output) as temporary:
        changes = form.write(export, temporary)
    for sentence in changes:
        say(sentence)
    return len(images)
