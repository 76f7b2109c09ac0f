"""Writers of subsets in the formats of other tools."""

import io
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from otcondense.datasets.kinds import SOURCES
from otcondense.datasets.locations import is_local_file
from otcondense.datasets.records import SourceConfig
from otcondense.datasets.wanted import WantedImage, read_wanted
from otcondense.errors import InputError
from otcondense.store.files import canonical_json
from otcondense.store.hashing import sha256_bytes

IMAGES_PER_SHARD = 1000
MAGIC = {b"\xff\xd8": "jpg", b"\x89PNG": "png"}
"""First bytes of image formats; a name may be wrong, since ImageNet holds a PNG named .JPEG."""


@dataclass(frozen=True)
class Export:
    """The subset to write, and the options of its format."""

    manifest: pa.Table
    images: list[WantedImage]
    source: SourceConfig
    files: Literal["link", "copy"]
    """For image_folder: links to the images of the source, or copies."""
    with_images: bool
    """For hf: write the images too."""


@dataclass(frozen=True)
class Format:
    """One format."""

    write: Callable[[Export, Path], None]
    """Writes a subset to a path that does not exist yet."""
    meaning: str
    """Content of the output, for `--help`."""


def write_json_list(export: Export, target: Path) -> None:
    """Write the relative paths of the images, in the order of the manifest, as one JSON list."""
    image_ids = [image.image_id for image in export.images]
    target.write_text(canonical_json(image_ids, indent=1) + "\n")


def write_image_folder(export: Export, target: Path) -> None:
    """Write CLASS/IMAGE, as links or copies, each image checked first.

    Images that are files keep their names. The ids of other images need not be names of files, so
    the name of such an image is its rank.
    """
    if export.files == "link" and not all(is_local_file(image.path) for image in export.images):
        raise InputError(
            "images of a remote source, or inside other files, cannot be linked; set files=copy"
        )
    keeps_names = SOURCES[export.source.kind].images_are_files
    rows = export.manifest.select(["class_name", "rank"]).to_pylist()
    for image, row in zip(export.images, rows, strict=True):
        data = read_wanted(image)
        name = image.image_id
        if not keeps_names:
            name = f"{row['class_name']}/{row['rank']:06d}.{_suffix(image, data)}"
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if export.files == "copy":
            path.write_bytes(data)
        else:
            path.symlink_to(os.path.realpath(image.path))


def write_parquet(export: Export, target: Path) -> None:
    """Write the manifest with two more columns.

    They are `image` (struct of bytes and path, as Hugging Face reads images) and `label`.
    """
    table = with_image_column(export.manifest, export.images)
    labels = pa.array([image.class_index for image in export.images], pa.int64())
    pq.write_table(table.append_column("label", labels), target, compression="none")


def with_image_column(manifest: pa.Table, images: list[WantedImage]) -> pa.Table:
    """Return a manifest with the column `image`, as Hugging Face reads images."""
    values: list[dict[str, Any]] = [
        {"bytes": read_wanted(image), "path": image.image_id} for image in images
    ]
    column = pa.array(values, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    return manifest.replace_schema_metadata(None).append_column("image", column)


def write_webdataset(export: Export, target: Path) -> None:
    """Write tar shards of KEY.SUFFIX, KEY.cls and KEY.json, and `index.json` with their samples.

    KEY is the row in the manifest.
    """
    rows = export.manifest.to_pylist()
    samples = list(zip(export.images, rows, strict=True))
    target.mkdir(parents=True)
    shards = []
    for start in range(0, len(rows), IMAGES_PER_SHARD):
        name = f"{start // IMAGES_PER_SHARD:06d}.tar"
        part = samples[start : start + IMAGES_PER_SHARD]
        _write_shard(target / name, part, start)
        digest = sha256_bytes((target / name).read_bytes())
        shards.append({"file": name, "samples": len(part), "sha256": digest})
    index = canonical_json({"samples": len(rows), "shards": shards}, indent=1)
    (target / "index.json").write_text(index + "\n")


def _write_shard(path: Path, samples: list[tuple[WantedImage, dict[str, Any]]], start: int) -> None:
    """Write one tar; `start` is the key of its first sample."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as shard:
        for key, (image, row) in enumerate(samples, start):
            for suffix, data in _members(image, row).items():
                _add(shard, f"{key:09d}.{suffix}", data)


def _members(image: WantedImage, row: dict[str, Any]) -> dict[str, bytes]:
    """Return the files of one sample by suffix."""
    data = read_wanted(image)
    return {
        _suffix(image, data): data,
        "cls": str(image.class_index).encode(),
        "json": canonical_json(row).encode(),
    }


def _suffix(image: WantedImage, data: bytes) -> str:
    """Return the suffix of an image: by its content if that is known, else its own."""
    for magic, suffix in MAGIC.items():
        if data.startswith(magic):
            return suffix
    return PurePosixPath(image.image_id).suffix[1:].lower() or "img"


def _add(shard: tarfile.TarFile, name: str, data: bytes) -> None:
    # Without an owner and with time 0: the same bytes on every machine.
    member = tarfile.TarInfo(name)
    member.size = len(data)
    shard.addfile(member, io.BytesIO(data))
