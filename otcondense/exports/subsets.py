"""A subset in the shapes that other tools read; a new format is one function and one line in `EXPORTS`."""

import io
import os
import shutil
import tarfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from otcondense.config import Config
from otcondense.datasets import SourceConfig, is_local_file
from otcondense.datasets.images import WantedImage, manifest_images, read_wanted
from otcondense.errors import InputError
from otcondense.store import canonical_json, sha256_bytes

IMAGES_PER_SHARD = 1000
MAGIC = {b"\xff\xd8": "jpg", b"\x89PNG": "png"}
"""First bytes of the formats that are named by their content, since ImageNet holds a PNG named .JPEG."""
SIZE_CATEGORIES = {1000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}
MEANINGS = {
    "image_id": "path relative to the root of the source, with `/`",
    "class_name": "name of the class",
    "class_index": "rank of the class name among all classes, from 0",
    "rank": "order of choice within the class, from 0",
    "weight": "`represented_mass` times the number of images chosen from the class",
    "represented_mass": "share of its class that the image stands for, 0 to 1",
    "gain": "decrease of the objective when it came in; null where unknown",
    "cross_entropy": "cross-entropy of the true class in nats; null without a classifier",
    "sha256": "SHA-256 of the source file",
}


class ExportConfig(Config):
    """Which form a subset takes, and where."""

    output: str
    """File (json, parquet) or folder (the others) to write; it must not exist yet."""
    format: Literal["json", "image_folder", "parquet", "webdataset", "hf"] = "json"
    """json: relative paths of the images in order of choice; image_folder: OUTPUT/CLASS/IMAGE; parquet: the manifest with image bytes;
    webdataset: tar shards with an index; hf: Hugging Face data set with a card."""
    files: Literal["link", "copy"] = "link"
    """For image_folder: symbolic links to the source's images, or copies of them."""
    images: bool = False
    """For hf: put the images themselves in the data set; by default it holds the list of them alone, which may be shared freely."""


@dataclass(frozen=True)
class Export:
    """What an exporter works on."""

    manifest: pa.Table
    images: list[WantedImage]
    source: SourceConfig
    config: ExportConfig


Exporter = Callable[[Export, Path], None]


def export_subset(manifest: pa.Table, source: SourceConfig, config: ExportConfig) -> int:
    """Write a subset in another form, whole or not at all, and return its number of images.

    Raises: InputError if the output exists, an entry leads out of the source's root, or an image is missing or changed.
    """
    output = Path(config.output)
    if output.exists() or output.is_symlink():
        raise InputError(
            f"the export {output} must not exist yet; remove it or choose another name"
        )
    export = Export(manifest, manifest_images(manifest, source), source, config)
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
    """Write CLASS/IMAGE, as links or copies, each image checked first.

    Images of a folder keep their names; images of other sources, whose ids need not be names of files, are called by their rank.
    """
    if export.config.files == "link" and not all(
        is_local_file(image.path) for image in export.images
    ):
        raise InputError(
            "images of a remote source, or inside other files, cannot be linked; set files=copy"
        )
    for image, row in zip(
        export.images, export.manifest.select(["class_name", "rank"]).to_pylist(), strict=True
    ):
        data = read_wanted(image)
        named = f"{row['class_name']}/{row['rank']:06d}.{_suffix(image, data)}"
        path = target / (image.image_id if export.source.kind == "image_folder" else named)
        path.parent.mkdir(parents=True, exist_ok=True)
        if export.config.files == "copy":
            path.write_bytes(data)
        else:
            path.symlink_to(os.path.realpath(image.path))


def write_parquet(export: Export, target: Path) -> None:
    """Write the manifest with two more columns: `image` (struct of bytes and path, as Hugging Face reads images) and `label`."""
    pq.write_table(
        _with_labels(_with_images(export.manifest, export.images), export.images),
        target,
        compression="none",
    )


def _with_images(manifest: pa.Table, images: list[WantedImage]) -> pa.Table:
    values: list[dict[str, Any]] = [
        {"bytes": read_wanted(image), "path": image.image_id} for image in images
    ]
    column = pa.array(values, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    return manifest.replace_schema_metadata(None).append_column("image", column)


def _with_labels(manifest: pa.Table, images: list[WantedImage]) -> pa.Table:
    labels = pa.array([image.class_index for image in images], pa.int64())
    return manifest.replace_schema_metadata(None).append_column("label", labels)


def write_webdataset(export: Export, target: Path) -> None:
    """Write tar shards of KEY.SUFFIX, KEY.cls and KEY.json, and `index.json` with the samples of each; KEY is the place in the manifest."""
    rows = export.manifest.to_pylist()
    target.mkdir(parents=True)
    shards = []
    for start in range(0, len(rows), IMAGES_PER_SHARD):
        name, pairs = (
            f"{start // IMAGES_PER_SHARD:06d}.tar",
            list(zip(export.images, rows, strict=True))[start : start + IMAGES_PER_SHARD],
        )
        with tarfile.open(target / name, "w", format=tarfile.USTAR_FORMAT) as shard:
            for key, (image, row) in enumerate(pairs, start):
                for suffix, data in _members(image, row).items():
                    _add(shard, f"{key:09d}.{suffix}", data)
        shards.append(
            {
                "file": name,
                "samples": len(pairs),
                "sha256": sha256_bytes((target / name).read_bytes()),
            }
        )
    (target / "index.json").write_text(
        canonical_json({"samples": len(rows), "shards": shards}, indent=1) + "\n"
    )


def _members(image: WantedImage, row: dict[str, Any]) -> dict[str, bytes]:
    """Return the files of one sample by suffix."""
    data = read_wanted(image)
    return {
        _suffix(image, data): data,
        "cls": str(image.class_index).encode(),
        "json": canonical_json(row).encode(),
    }


def _suffix(image: WantedImage, data: bytes) -> str:
    """Return the suffix of an image: by its content where that is known, else the one it has."""
    known = (name for magic, name in MAGIC.items() if data.startswith(magic))
    return next(known, PurePosixPath(image.image_id).suffix[1:].lower() or "img")


def _add(shard: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(
        name
    )  # without an owner and with time 0: the same bytes on every machine
    member.size = len(data)
    shard.addfile(member, io.BytesIO(data))


def write_hugging_face(export: Export, target: Path) -> None:
    """Write `data/train-*.parquet` and the data set card `README.md`; the images are in it only if `images` is set."""
    (target / "data").mkdir(parents=True)
    names = {
        row["class_index"]: row["class_name"]
        for row in export.manifest.select(["class_index", "class_name"]).to_pylist()
    }
    table = export.manifest.replace_schema_metadata(None)
    if export.config.images:
        table = _with_images(table, export.images)
        table = table.replace_schema_metadata(
            {"huggingface": canonical_json({"info": {"features": _hf_features(table)}})}
        )
    pq.write_table(table, target / "data" / "train-00000-of-00001.parquet", compression="zstd")
    (target / "README.md").write_text(_card(export, names), encoding="utf-8")


def _hf_features(table: pa.Table) -> dict[str, Any]:
    kinds = {
        field.name: {"dtype": str(field.type).replace("double", "float64"), "_type": "Value"}
        for field in table.schema
    }
    kinds = {
        name: kind | {"dtype": kind["dtype"].replace("float", "float32")}
        if kind["dtype"] == "float"
        else kind
        for name, kind in kinds.items()
    }
    return kinds | {"image": {"_type": "Image"}}


def _card(export: Export, names: dict[int, str]) -> str:
    size = len(export.images)
    category = next((text for limit, text in SIZE_CATEGORIES.items() if size < limit), "1M<n<10M")
    front = {
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"path": "data/train-*.parquet", "split": "train"}],
            }
        ],
        "size_categories": [category],
        "tags": ["dataset-condensation", "coreset"],
        "task_categories": ["unconditional-image-generation", "image-classification"],
    }
    kept = (
        "and the images themselves"
        if export.config.images
        else "and no images: `image_id` is the path of each below the root of its source"
    )
    return (
        f"---\n{yaml.safe_dump(front, sort_keys=True)}---\n\n# A condensed subset\n\n"
        f"{size} images of {len(names)} classes, chosen by OTCondense. It holds the manifest {kept}.\n\n"
        "| column | meaning |\n|---|---|\n"
        + "".join(f"| `{name}` | {meaning} |\n" for name, meaning in MEANINGS.items())
    )


EXPORTS: dict[str, Exporter] = {
    "json": write_json_list,
    "image_folder": write_image_folder,
    "parquet": write_parquet,
    "webdataset": write_webdataset,
    "hf": write_hugging_face,
}
