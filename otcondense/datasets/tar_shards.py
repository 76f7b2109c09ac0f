"""Tar files as WebDataset lays them out: KEY.jpg with KEY.cls or KEY.json, or in a class folder.

The headers of a tar are read once to list it. An image is read by its offset when it is decoded;
nothing is unpacked.

KEY ends at the first dot for WebDataset, but data sets also have keys with dots (`img_1.5.jpg`). So
an image is looked up under its whole name without the last suffix, and then under what is left of
it before each earlier dot.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from otcondense.datasets.building import build_listing
from otcondense.datasets.captions import TWICE, Captions
from otcondense.datasets.files import SourceFile, container_files
from otcondense.datasets.labels import shorten
from otcondense.datasets.listing import ListedFile, Listing
from otcondense.datasets.named_files import folder_name
from otcondense.datasets.names import check_image_id
from otcondense.datasets.parts import Faulty, Labels, Part, sorted_texts, spread, texts
from otcondense.datasets.records import SourceConfig
from otcondense.datasets.tar_members import (
    LABEL_PARTS,
    DamagedTarError,
    Members,
    TarImage,
    read_members,
)
from otcondense.errors import InputError

LONGEST_NUMBER = 18
"""Digits of a label that is a number; more are a name."""


def scan_tar_shards(source: SourceConfig) -> Listing:
    """Return the images of the tar files at `source.path`; an id is SHARD/NAME.

    The label is the text of KEY.cls, else the value of `source.label_column` in KEY.json, else the
    first folder of KEY; without a `label_column`, all images are of one class. An image such as
    KEY.seg.png beside KEY.jpg is another part of the same sample: it is ignored and counted, and so
    is a caption without an image.

    Raises: InputError for a damaged tar, a key with two images, a label without an image or an
        image without a label.
    """
    files, others = container_files(source, ".tar")
    ignored = [others.column]
    parts: list[Part] = []
    damaged: list[DamagedTarError] = []
    for file in files:
        try:
            members = read_members(file, source)
        except DamagedTarError as error:
            damaged.append(error)
            continue
        further = _further_parts(members.images)
        images = [image for image in members.images if image not in further]
        names = [*members.others, *(image.name for image in further)]
        names += _unused_captions(images, members)
        if not (images or names or members.labels):
            ignored.append(texts([file.name]))
        ignored.append(_names_in(file, names))
        parts.append(_part(source, file, images, members))
    _refuse_damaged(damaged, len(files))
    return build_listing(source, parts, None, sorted_texts(ignored))


def _refuse_damaged(damaged: list[DamagedTarError], total: int) -> None:
    if len(damaged) == 1:
        raise damaged[0]
    if damaged:
        reasons = shorten(str(error) for error in damaged)
        raise InputError(f"{len(damaged)} of {total} tar files are damaged: {reasons}")


def _names_in(file: SourceFile, names: Iterable[str]) -> pa.LargeStringArray:
    """Return names of members for messages, also of some that are no text."""
    shown = (name.encode("utf-8", "backslashreplace").decode() for name in names)
    return texts(f"{file.name}/{name}" for name in shown)


def _further_parts(images: list[TarImage]) -> set[TarImage]:
    """Return the images that are another part of a sample.

    They are KEY.seg.png beside KEY.jpg, or a KEY.jp2, which is not read, beside it.
    """
    stems = {image.stem for image in images}
    usable = {image.stem for image in images if not image.fault}
    return {
        image
        for image in images
        if (image.stem != image.key and image.key in stems)
        or (image.fault and image.stem in usable)
    }


def _part(source: SourceConfig, file: SourceFile, images: list[TarImage], members: Members) -> Part:
    """Return the rows of one tar, whose labels each belong to one image."""
    faulty = Faulty()
    for row, image in enumerate(images):
        if image.fault:
            faulty.add(row, image.fault)
    part = Part(
        ids=_ids(source, file, images),
        labels=_labels(source, file, images, members),
        size_bytes=np.array([image.size for image in images], np.int64),
        mtime_ns=spread(file.mtime_ns, len(images)),
        file=ListedFile(file.path, "bytes"),
        position=np.array([image.offset for image in images], np.int64),
        faulty=faulty,
    )
    return part if source.captions is None else _captions(images, members).attach(part)


def _captions(images: list[TarImage], members: Members) -> Captions:
    """Return the caption of each image."""
    captions = Captions()
    for image in images:
        place = _caption_place(image, members)
        is_twice = place in members.two_captions
        captions.add(members.captions.get(place), TWICE if is_twice else "")
    return captions


def _caption_place(image: TarImage, members: Members) -> str:
    """Return the longest name that has a caption and is the image's up to a dot; else its own."""
    return _place(image, members.captions.__contains__)


def _unused_captions(images: list[TarImage], members: Members) -> list[str]:
    """Return the names of captions that belong to no image."""
    if not members.captions:
        return []
    used = {_caption_place(image, members) for image in images}
    return sorted(f"{place} (a caption)" for place in set(members.captions) - used)


def _ids(source: SourceConfig, file: SourceFile, images: list[TarImage]) -> pa.LargeStringArray:
    ids = [f"{file.name}/{image.name}" for image in images]
    try:
        return texts(ids)
    except UnicodeEncodeError:
        for image_id in ids:
            check_image_id(image_id, source.path)
        raise


def _labels(
    source: SourceConfig, file: SourceFile, images: list[TarImage], members: Members
) -> Labels:
    """Return the label of each image."""
    owners: dict[str, TarImage] = {}
    labels: list[int | str] = []
    for image in images:
        place = _place(image, members.has_label)
        if place in owners:
            raise InputError(
                f"every key of {file.path} must have one image, found two for {place}: "
                f"{owners[place].name} and {image.name}"
            )
        owners[place] = image
        if source.label_column is not None:
            labels.append(_label(source, file, image, members, place))
    if source.label_column is None:
        return Labels.same(folder_name(source), len(images))

    named = (place for part in LABEL_PARTS for place in members.labels.get(part, {}))
    unused = min((place for place in named if place not in owners), default=None)
    if unused is not None:
        raise InputError(
            f"key {unused} of {file.path} has a label and no image; "
            "add the image or remove the label"
        )
    return Labels.of(labels)


def _place(image: TarImage, is_there: Callable[[str], bool]) -> str:
    """Return the longest name that is there and is the image's up to a dot; else its own."""
    place = image.stem
    while not is_there(place) and place != image.key:
        place = place.rpartition(".")[0]
    return place if is_there(place) else image.stem


def _label(
    source: SourceConfig, file: SourceFile, image: TarImage, members: Members, place: str
) -> int | str:
    texts_of = members.labels.get("cls", {})
    label: Any = texts_of.get(place, members.labels.get("json", {}).get(place))
    if label is None and "/" in image.name:
        label = image.name.split("/", 1)[0]
    if isinstance(label, bool) or not isinstance(label, int | str) or label == "":
        raise InputError(
            f"key {image.stem} of {file.path} must have a label in {image.key}.cls, "
            f"in {source.label_column!r} of {image.key}.json or as its folder, found {label!r}; "
            "set source.label_column or add the label"
        )
    is_number = isinstance(label, str) and label.isdecimal() and len(label) <= LONGEST_NUMBER
    return int(label) if is_number and place in texts_of else label
