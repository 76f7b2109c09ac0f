"""A subset in the shapes that other tools read; a new format is one function and one line in `EXPORTS`."""

import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from otcondense.config import Config
from otcondense.datasets import SourceConfig, is_local_file
from otcondense.errors import InputError
from otcondense.store import canonical_json
from pipeline.images import WantedImage, manifest_images, read_wanted


class ExportConfig(Config):
    """Which form a subset takes, and where."""

    output: str
    """File (json, parquet) or folder (image_folder) to write; it must not exist yet."""
    format: Literal["json", "image_folder", "parquet"] = "json"
    """json: relative paths of the images in order of choice; image_folder: OUTPUT/CLASS/IMAGE; parquet: the manifest with image bytes."""
    files: Literal["link", "copy"] = "link"
    """For image_folder: symbolic links to the source's images, or copies of them."""


@dataclass(frozen=True)
class Export:
    """What an exporter works on."""

    manifest: pa.Table
    images: list[WantedImage]
    files: Literal["link", "copy"]


Exporter = Callable[[Export, Path], None]


def export_subset(manifest: pa.Table, source: SourceConfig, config: ExportConfig) -> int:
    """Write a subset in another form, whole or not at all, and return its number of images.

    Raises: InputError if the output exists, an entry leads out of the source's root, or an image is missing or changed.
    """
    output = Path(config.output)
    if output.exists() or output.is_symlink():
        raise InputError(f"the export {output} must not exist yet; remove it or choose another name")
    export = Export(manifest, manifest_images(manifest, source), config.files)
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.parent / f".tmp-{uuid.uuid4().hex}"
    try:
        EXPORTS[config.format](export, temporary)
        temporary.rename(output)
    finally:
        _remove(temporary)
    return len(export.images)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_json_list(export: Export, target: Path) -> None:
    """Write the relative paths of the images, in the order of the manifest, as one JSON list."""
    target.write_text(canonical_json([image.image_id for image in export.images], indent=1) + "\n")


def write_image_folder(export: Export, target: Path) -> None:
    """Write CLASS/IMAGE under the names of the source, as links or copies, each image checked first."""
    if export.files == "link" and not all(is_local_file(image.path) for image in export.images):
        raise InputError("images of a remote source, or inside other files, cannot be linked; set files=copy")
    for image in export.images:
        path = target / image.image_id
        path.parent.mkdir(parents=True, exist_ok=True)
        data = read_wanted(image)
        if export.files == "copy":
            path.write_bytes(data)
        else:
            path.symlink_to(os.path.realpath(image.path))


def write_parquet(export: Export, target: Path) -> None:
    """Write the manifest with two more columns: `image` (struct of bytes and path, as Hugging Face reads images) and `label`."""
    images: list[dict[str, Any]] = [{"bytes": read_wanted(image), "path": image.image_id} for image in export.images]
    column = pa.array(images, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    table = export.manifest.replace_schema_metadata(None).append_column("image", column)
    labels = pa.array([image.class_index for image in export.images], pa.int64())
    pq.write_table(table.append_column("label", labels), target, compression="none")


EXPORTS: dict[str, Exporter] = {"json": write_json_list, "image_folder": write_image_folder, "parquet": write_parquet}
