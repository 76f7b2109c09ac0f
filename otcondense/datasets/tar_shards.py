"""Tar files as WebDataset lays them out: KEY.jpg with KEY.cls or KEY.json, or in a class folder.

The headers of a tar are read once to list it. An image is read by its offset when it is decoded;
nothing is unpacked.
"""

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import fsspec

from otcondense.datasets.byte_ranges import byte_range
from otcondense.datasets.files import SourceFile, container_files
from otcondense.datasets.image_folder import IMAGE_SUFFIXES
from otcondense.datasets.labels import LabelledRow, build_listing
from otcondense.datasets.records import Listing, SourceConfig
from otcondense.errors import InputError

LABEL_PARTS = ("cls", "json")
"""Suffixes of the members that may hold a label."""


@dataclass(frozen=True)
class _Image:
    """The member of a sample that is an image."""

    suffix: str
    offset: int
    size: int


@dataclass
class _Sample:
    """The members that share one key."""

    image: _Image | None = None
    texts: dict[str, bytes] = field(default_factory=dict)
    """Content of the members that may hold a label, by suffix."""


def scan_tar_shards(source: SourceConfig) -> Listing:
    """Return the images of the tar files at `source.path`; an id is SHARD/KEY.SUFFIX.

    The label is the text of KEY.cls, else the value of `source.label_column` in KEY.json, else the
    first folder of KEY.

    Raises: InputError for a damaged tar, a key with two images, a label without an image or an
        image without a label.
    """
    files, ignored = container_files(source, ".tar")
    rows: list[LabelledRow] = []
    for file in files:
        for key, sample in _read_samples(file).items():
            if sample.image is not None:
                rows.append(_row(source, file, key, sample))
            elif sample.texts:
                raise InputError(
                    f"key {key} of {file.path} has a label and no image; "
                    "add the image or remove the label"
                )
    return build_listing(source, rows, None, ignored)


def _row(source: SourceConfig, file: SourceFile, key: str, sample: _Sample) -> LabelledRow:
    image = sample.image
    assert image is not None
    image_id = f"{file.name}/{key}{image.suffix}"
    label = _label(source, file, key, sample)
    location = byte_range(file.path, image.offset, image.size)
    return LabelledRow(image_id, label, location, image.size, file.mtime_ns)


def _read_samples(file: SourceFile) -> dict[str, _Sample]:
    samples: dict[str, _Sample] = {}
    try:
        with fsspec.open(file.path, "rb") as opened, tarfile.open(fileobj=opened, mode="r:") as tar:
            for member in _plain_members(tar):
                _add(samples, file, member, opened)
    except (tarfile.TarError, EOFError) as error:
        raise InputError(
            f"{file.path} is not a readable, uncompressed tar file ({error}); restore or remove it"
        ) from error
    return samples


def _plain_members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the files of a tar that are not hidden.

    Links and special files have no bytes of their own.
    """
    for member in tar:
        if member.isfile() and not _is_hidden(member.name):
            yield member
        tar.members = []  # type: ignore[attr-defined]  # tarfile keeps every header otherwise


def _is_hidden(name: str) -> bool:
    """Tell whether a file or a folder above it has a name that starts with a dot."""
    parts = name.removeprefix("./").split("/")
    return any(part.startswith(".") and part != ".." for part in parts)


def _add(
    samples: dict[str, _Sample], file: SourceFile, member: tarfile.TarInfo, opened: Any
) -> None:
    folder, slash, base = member.name.removeprefix("./").rpartition("/")
    stem, _, part = base.partition(".")
    key = f"{folder}{slash}{stem}"
    if {"", ".."} & set(key.split("/")):
        raise InputError(
            f"{file.path} holds the name {member.name!r}, which leads out of the archive; "
            "do not use this file"
        )
    sample = samples.setdefault(key, _Sample())
    if f".{part.lower()}" in IMAGE_SUFFIXES:
        if sample.image is not None:
            raise InputError(f"every key of {file.path} must have one image, found two for {key}")
        sample.image = _Image(f".{part}", member.offset_data, member.size)
    elif part in LABEL_PARTS:
        opened.seek(member.offset_data)
        sample.texts[part] = opened.read(member.size)


def _label(source: SourceConfig, file: SourceFile, key: str, sample: _Sample) -> int | str:
    label: Any = None
    try:
        if "cls" in sample.texts:
            label = sample.texts["cls"].decode().strip()
        elif "json" in sample.texts:
            label = json.loads(sample.texts["json"]).get(source.label_column)
    except (ValueError, AttributeError) as error:
        raise InputError(
            f"the label of key {key} in {file.path} cannot be read ({error}); repair or remove it"
        ) from error
    if label is None and "/" in key:
        label = key.split("/", 1)[0]
    if isinstance(label, bool) or not isinstance(label, int | str) or label == "":
        raise InputError(
            f"key {key} of {file.path} must have a label in {key}.cls, "
            f"in {source.label_column!r} of {key}.json or as its folder, found {label!r}; "
            "set source.label_column or add the label"
        )
    if isinstance(label, str) and label.isdecimal() and "cls" in sample.texts:
        return int(label)
    return label
