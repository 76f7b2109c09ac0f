"""A subset as WebDataset shards, all of whose samples have the same keys."""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from otcondense.counts import counted
from otcondense.datasets.ordered import read_all
from otcondense.datasets.wanted import WantedImage
from otcondense.exports.export import CLASSES_FILE, Export, classes_text
from otcondense.exports.pictures import Picture, encode, read_picture, tally
from otcondense.store.json_text import canonical_json

IMAGES_PER_SHARD = 1000
JPEG_FORMATS = frozenset({"JPEG", "MPO"})
"""Pillow's names of JPEG files; MPO is one that holds further pictures."""
PLANS = {
    "keep": "images keep their bytes, all under the key jpg, whatever their format; only 16-bit "
    "grey images and those turned by EXIF, which loaders misread, become PNG files of 8 bits; "
    "--encode jpg or png makes all of one format",
    "jpg": "images of other formats become JPEG files, which loses some quality; JPEG files keep "
    "their bytes",
    "png": "images of other formats, and 16-bit grey ones, become PNG files of 8 bits; other PNG "
    "files keep their bytes",
}
"""What each value of `encode` does, for the person who exports."""


@dataclass(frozen=True)
class _Stored:
    """The image of a sample as it is stored."""

    data: bytes
    change: str
    """What was done to it, or what is unusual about it; empty for an ordinary one."""


def plan_webdataset(export: Export) -> list[str]:
    """Return how the images are stored."""
    return [PLANS[export.encode]]


def image_key(export: Export) -> str:
    """Return the key of the image in every sample: the suffix of its file."""
    return "png" if export.encode == "png" else "jpg"


def write_webdataset(export: Export, target: Path) -> list[str]:
    """Write tar shards of KEY.jpg (or KEY.png), KEY.cls and KEY.json, an index and class names.

    With captions there is a KEY.txt too. KEY is the row in the manifest. `index.json` has the
    samples and the SHA-256 of each shard, `classes.txt` the class names by index.

    Returns: sentences on the images that were changed.

    Raises: InputError if an image is missing, has changed or cannot be read.
    """
    target.mkdir(parents=True)
    shards = []
    changes: list[str] = []
    contents = read_all(export.images)
    for start in range(0, len(export.images), IMAGES_PER_SHARD):
        path = target / f"{start // IMAGES_PER_SHARD:06d}.tar"
        rows = range(start, min(start + IMAGES_PER_SHARD, len(export.images)))
        changes += _write_shard(path, export, rows, contents)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        shards.append({"file": path.name, "samples": len(rows), "sha256": digest})
    index = canonical_json({"samples": len(export.images), "shards": shards}, indent=1)
    (target / "index.json").write_text(index + "\n")
    (target / CLASSES_FILE).write_text(classes_text(export.class_names()), encoding="utf-8")
    return [f"{counted(len(changes), 'image')}: {tally(changes)}"] if changes else []


def _write_shard(path: Path, export: Export, rows: range, contents: Iterator[bytes]) -> list[str]:
    """Write one tar of some rows of the manifest; return what was done to their images."""
    changes = []
    part: pa.Table = export.manifest.slice(rows.start, len(rows))
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as shard:
        for key, row in zip(rows, part.to_pylist(), strict=True):
            image = export.images[key]
            stored = _stored(image, next(contents), export)
            if stored.change:
                changes.append(stored.change)
            _add(shard, f"{key:09d}.{image_key(export)}", stored.data)
            _add(shard, f"{key:09d}.cls", str(image.class_index).encode())
            _add(shard, f"{key:09d}.json", canonical_json(row).encode())
            if export.captions is not None:
                _add(shard, f"{key:09d}.txt", export.captions[key].as_py().encode())
    return changes


def _stored(image: WantedImage, data: bytes, export: Export) -> _Stored:
    picture = read_picture(image, data)
    form = _new_format(picture, export.encode)
    if form is None:
        is_jpeg = picture.form in JPEG_FORMATS
        is_usual = is_jpeg or export.encode != "keep"
        return _Stored(picture.data, "" if is_usual else f"{picture.form} kept under the key jpg")
    encoded = encode(picture, form, export.source.max_pixels)
    return _Stored(encoded, f"{picture.what} became {form.upper()}")


def _new_format(picture: Picture, wanted: str) -> str | None:
    """Return the format that an image gets; None if it keeps its bytes."""
    if wanted == "keep":
        return "png" if picture.is_misread else None
    if wanted == "jpg":
        is_plain = picture.form in JPEG_FORMATS and not picture.is_turned
        return None if is_plain else "jpg"
    is_plain = picture.form == "PNG" and not picture.is_misread
    return None if is_plain else "png"


def _add(shard: tarfile.TarFile, name: str, data: bytes) -> None:
    # Without an owner and with time 0: the same bytes on every machine.
    member = tarfile.TarInfo(name)
    member.size = len(data)
    shard.addfile(member, io.BytesIO(data))
