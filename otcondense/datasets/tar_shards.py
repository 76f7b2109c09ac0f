"""Tar files as WebDataset lays them out: KEY.jpg with KEY.cls or KEY.json, or in a class folder.

The headers of a tar are read once to list it. An image is read by its offset when it is decoded;
nothing is unpacked.

KEY ends at the first dot for WebDataset, but data sets also have keys with dots (`img_1.5.jpg`). So
an image is looked up under its whole name without the last suffix, and then under what is left of
it before each earlier dot.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from otcondense.datasets.access import open_file
from otcondense.datasets.byte_ranges import byte_range
from otcondense.datasets.files import SourceFile, container_files
from otcondense.datasets.image_folder import IMAGE_SUFFIXES
from otcondense.datasets.labels import LabelledRow, build_listing
from otcondense.datasets.listing import Listing
from otcondense.datasets.names import is_below
from otcondense.datasets.records import SourceConfig
from otcondense.errors import InputError
from otcondense.reading import RefusedFileError, check_size, parse_json

LABEL_PARTS = ("cls", "json")
"""Suffixes of the members that may hold a label, the first one first."""
LABEL_BYTES = 2**20
"""Largest member that may hold a label: a JSON with captions and boxes is some kilobytes."""
HEADER_BYTES = 2**20
"""Most bytes that one header may take: an extended header holds a name and some numbers."""
LONGEST_NUMBER = 18
"""Digits of a label that is a number; more are a name."""
UNREADABLE = (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError)
"""Errors of `tarfile` for damaged or hostile headers."""


@dataclass(frozen=True)
class _Image:
    """A member that is an image."""

    name: str
    """Name in the tar."""
    offset: int
    size: int

    @property
    def stem(self) -> str:
        """Name without the last suffix."""
        return self.name.rpartition(".")[0]

    @property
    def key(self) -> str:
        """Name up to the first dot of the file: the key of WebDataset."""
        return _key(self.name)


@dataclass
class _Members:
    """The images and labels of one tar."""

    images: list[_Image] = field(default_factory=list)
    labels: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """Content of the members that may hold a label, by name without suffix and by suffix."""


def _key(name: str) -> str:
    folder, slash, base = name.rpartition("/")
    return f"{folder}{slash}{base.partition('.')[0]}"


def scan_tar_shards(source: SourceConfig) -> Listing:
    """Return the images of the tar files at `source.path`; an id is SHARD/NAME.

    The label is the text of KEY.cls, else the value of `source.label_column` in KEY.json, else the
    first folder of KEY. An image such as KEY.seg.png beside KEY.jpg is another part of the same
    sample: it is ignored and counted.

    Raises: InputError for a damaged tar, a key with two images, a label without an image or an
        image without a label.
    """
    files, ignored = container_files(source, ".tar")
    rows: list[LabelledRow] = []
    for file in files:
        members = _read_members(file)
        parts = _further_parts(members.images)
        ignored += [f"{file.name}/{image.name}" for image in members.images if image in parts]
        images = [image for image in members.images if image not in parts]
        rows += _rows(source, file, images, members.labels)
    return build_listing(source, rows, None, sorted(ignored))


def _further_parts(images: list[_Image]) -> set[_Image]:
    """Return the images that are another part of a sample: KEY.seg.png beside KEY.jpg."""
    stems = {image.stem for image in images}
    return {image for image in images if image.stem != image.key and image.key in stems}


def _rows(
    source: SourceConfig,
    file: SourceFile,
    images: list[_Image],
    labels: dict[str, dict[str, bytes]],
) -> Iterator[LabelledRow]:
    """Yield the rows of one tar, whose labels each belong to one image."""
    owners: dict[str, _Image] = {}
    for image in images:
        place = _label_place(image, labels)
        if place in owners:
            raise InputError(
                f"every key of {file.path} must have one image, found two for {place}: "
                f"{owners[place].name} and {image.name}"
            )
        owners[place] = image
        label = _label(source, file, image, labels.get(place, {}))
        location = byte_range(file.path, image.offset, image.size)
        image_id = f"{file.name}/{image.name}"
        yield LabelledRow(image_id, label, location, image.size, file.mtime_ns)

    unused = sorted(labels.keys() - owners.keys())
    if unused:
        raise InputError(
            f"key {unused[0]} of {file.path} has a label and no image; "
            "add the image or remove the label"
        )


def _label_place(image: _Image, labels: dict[str, dict[str, bytes]]) -> str:
    """Return the longest name that has a label and is the image's up to a dot; else its own."""
    place = image.stem
    while place not in labels and place != image.key:
        place = place.rpartition(".")[0]
    return place if place in labels else image.stem


def _read_members(file: SourceFile) -> _Members:
    members = _Members()
    try:
        with (
            open_file(file.path) as opened,
            tarfile.open(fileobj=_Headers(opened), mode="r:") as tar,  # type: ignore[call-overload]
        ):
            for member in _plain_members(tar):
                _add(members, file, member, opened)
    except RefusedFileError:
        raise
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(
            f"{file.path} is not a readable, uncompressed tar file ({error}); "
            "restore it or leave it out"
        ) from error
    return members


class _Headers:
    """The file of a tar, of which only headers are read: none may claim gigabytes."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        if not 0 <= size <= HEADER_BYTES:
            raise tarfile.ReadError(f"a header claims {size} bytes")
        return bytes(self._file.read(size))


def _plain_members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the files of a tar that are not hidden.

    Links and special files have no bytes of their own, and the bytes of a sparse file have gaps.
    """
    end = 0
    for member in tar:
        if member.size < 0 or tar.offset <= end:
            raise tarfile.ReadError("a header leads back to an earlier one")
        end = tar.offset
        if member.isfile() and not member.issparse() and not _is_hidden(member.name):
            yield member
        tar.members = []  # type: ignore[attr-defined]  # tarfile keeps every header otherwise


def _is_hidden(name: str) -> bool:
    """Tell whether a file or a folder above it has a name that starts with a dot."""
    parts = name.removeprefix("./").split("/")
    return any(part.startswith(".") and part != ".." for part in parts)


def _add(members: _Members, file: SourceFile, member: tarfile.TarInfo, opened: Any) -> None:
    """Keep a member that is an image or may hold a label."""
    name = member.name.removeprefix("./")
    if not is_below(name):
        raise InputError(
            f"{file.path} holds the name {member.name!a}, which leads out of the archive; "
            "do not use this file"
        )
    stem, _, suffix = name.rpartition(".")
    if f".{suffix.lower()}" in IMAGE_SUFFIXES:
        members.images.append(_Image(name, member.offset_data, member.size))
    elif suffix.lower() in LABEL_PARTS:
        check_size(f"label {name} of {file.path}", member.size, LABEL_BYTES)
        place = opened.tell()
        opened.seek(member.offset_data)
        members.labels.setdefault(stem, {})[suffix.lower()] = opened.read(member.size)
        opened.seek(place)


def _label(
    source: SourceConfig, file: SourceFile, image: _Image, texts: dict[str, bytes]
) -> int | str:
    label = _stored_label(source, file, image, texts)
    if label is None and "/" in image.name:
        label = image.name.split("/", 1)[0]
    if isinstance(label, bool) or not isinstance(label, int | str) or label == "":
        raise InputError(
            f"key {image.stem} of {file.path} must have a label in {image.key}.cls, "
            f"in {source.label_column!r} of {image.key}.json or as its folder, found {label!r}; "
            "set source.label_column or add the label"
        )
    is_number = isinstance(label, str) and label.isdecimal() and len(label) <= LONGEST_NUMBER
    return int(label) if is_number and "cls" in texts else label


def _stored_label(
    source: SourceConfig, file: SourceFile, image: _Image, texts: dict[str, bytes]
) -> Any:
    """Return the label in the member beside an image, None if there is none."""
    where = f"the label of key {image.stem} in {file.path}"
    if "cls" in texts:
        try:
            return texts["cls"].decode().strip()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{where} cannot be read ({error}); repair it or leave it out"
            ) from error
    if "json" not in texts:
        return None
    values = parse_json(texts["json"], where)
    if not isinstance(values, dict):
        raise InputError(f"{where} cannot be read: it must be an object; repair it or leave it out")
    return values.get(source.label_column)
