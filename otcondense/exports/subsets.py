"""A subset in the formats of other tools; a new one is a function and an entry in `EXPORTS`."""

from typing import Literal

import pyarrow as pa
from pydantic import Field, field_validator

from otcondense.config import Config
from otcondense.datasets.records import SourceConfig
from otcondense.datasets.wanted import manifest_images
from otcondense.exports.formats import (
    Export,
    Format,
    write_image_folder,
    write_json_list,
    write_parquet,
    write_webdataset,
)
from otcondense.exports.hugging_face import write_hugging_face
from otcondense.exports.outputs import new_output
from otcondense.store.local_files import write_whole

EXPORTS = {
    "json": Format(write_json_list, "relative paths of the images in order of choice"),
    "image_folder": Format(write_image_folder, "OUTPUT/CLASS/IMAGE"),
    "parquet": Format(write_parquet, "the manifest with image bytes"),
    "webdataset": Format(write_webdataset, "tar shards with an index"),
    "hf": Format(write_hugging_face, "Hugging Face data set with a card"),
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
    """For image_folder: symbolic links to the source's images, or copies of them."""
    images: bool = False
    """For hf: put the images themselves in the data set; by default it holds only the list of them,
    which may be shared freely."""

    @field_validator("format")
    @classmethod
    def _check_format(cls, name: str) -> str:
        if name not in EXPORTS:
            raise ValueError(f"must be one of {', '.join(EXPORTS)}")
        return name


def export_subset(manifest: pa.Table, source: SourceConfig, config: ExportConfig) -> int:
    """Write a subset in another format, whole or not at all, and return its number of images.

    Raises: InputError if the output exists, an entry leads out of the source's root, or an image is
        missing or changed.
    """
    output = new_output(config.output)
    images = manifest_images(manifest, source)
    export = Export(manifest, images, source, config.files, config.images)
    with write_whole(output) as temporary:
        EXPORTS[config.format].write(export, temporary)
    return len(images)
