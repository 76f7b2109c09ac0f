"""A subset as CLASS/IMAGE, in which torchvision's ImageFolder finds every image."""

import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from otcondense.counts import counted
from otcondense.datasets.kinds import SOURCES
from otcondense.datasets.locations import is_local_file
from otcondense.datasets.ordered import read_all
from otcondense.errors import InputError
from otcondense.exports.export import Export
from otcondense.exports.hub_metadata import TEXT_COLUMN
from otcondense.exports.pictures import SUFFIXES, Picture, encode, read_picture, tally
from otcondense.store.json_text import canonical_json

LOADER_SUFFIXES = frozenset(
    {".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Suffixes that torchvision's ImageFolder takes for images; others it leaves out in silence."""
ENCODED_SUFFIX = ".png"
METADATA_FILE = "metadata.jsonl"


@dataclass(frozen=True)
class _File:
    """One image of the folder."""

    name: str
    """Relative to the folder."""
    is_encoded: bool
    """Whether it becomes a PNG file."""


@dataclass(frozen=True)
class Placed:
    """The images of a folder, and those that are not what they are in the source, as its kind."""

    names: list[str] = field(default_factory=list)
    """Of each image, in order, relative to the folder."""
    encoded: list[str] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)

    def sentences(self) -> list[str]:
        """Return what was changed, and how often."""
        found = []
        if self.encoded:
            found.append(
                f"{counted(len(self.encoded), 'image')} became PNG files ({tally(self.encoded)})"
            )
        if self.renamed:
            found.append(
                f"{counted(len(self.renamed), 'image')} got another suffix ({tally(self.renamed)})"
            )
        return found


def plan_image_folder(export: Export) -> list[str]:
    """Return what becomes of images that ImageFolder would not find or would read wrongly."""
    sentences = plan_placed_images(export)
    named = export.named_classes()
    if [named.get(index) for index in range(len(named))] != sorted(named.values()):
        sentences.append(
            "ImageFolder counts the classes that are there in the order of their characters: its "
            "labels are not the class_index of the manifest"
        )
    return sentences


def plan_placed_images(export: Export) -> list[str]:
    """Return what `place_images` does to images that loaders would not find or would misread."""
    sentences = [
        "images that torchvision's ImageFolder would not find or would misread (GIF, AVIF, 16-bit "
        "grey, turned by EXIF) become PNG files of 8 bits, and the others stay as they are"
    ]
    if SOURCES[export.source.kind].images_are_files:
        suffixes = [_suffix(image.image_id) for image in export.images]
        unknown = [suffix for suffix in suffixes if suffix not in LOADER_SUFFIXES]
        if unknown:
            sentences.append(
                f"{len(unknown)} of {len(suffixes)} images have a suffix that ImageFolder leaves "
                f"out ({tally(unknown)}); they get one that fits their content"
            )
    return sentences


def write_image_folder(export: Export, target: Path) -> list[str]:
    """Write CLASS/IMAGE, as links or copies, each image checked first.

    Captions go into `metadata.jsonl`, as Hugging Face's `imagefolder` reads it.

    Returns: sentences on the images that were changed.

    Raises: InputError as `place_images`.
    """
    placed = place_images(export, folder_names(export), target)
    captions = export.texts()
    if captions is not None:
        lines = [
            canonical_json({"file_name": name, TEXT_COLUMN: text})
            for name, text in zip(placed.names, captions, strict=True)
        ]
        (target / METADATA_FILE).write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return placed.sentences()


def folder_names(export: Export) -> list[str]:
    """Return CLASS/IMAGE for each image, before its content is known.

    Images that are files keep their names. The ids of other images need not be names of files, so
    the name of such an image is its rank.
    """
    rows = export.manifest.select(["class_name", "rank"]).to_pylist()
    ids = [image.image_id for image in export.images]
    return [_name(export, image_id, **row) for image_id, row in zip(ids, rows, strict=True)]


def place_images(export: Export, names: list[str], target: Path) -> Placed:
    """Write images into a folder, as links or copies, each image checked first.

    Only a suffix that ImageFolder does not know is replaced by one that fits the content. GIF,
    AVIF, 16-bit grey images and those turned by EXIF become PNG files.

    Args:
        export: its images.
        names: of each, relative to the folder.
        target: the folder.

    Raises: InputError if a link is wanted to an image that is no local file, or an image is
        missing, has changed or cannot be read.
    """
    if export.files == "link" and not all(is_local_file(image.path) for image in export.images):
        raise InputError(
            "images of a remote source, or inside other files, cannot be linked; set files=copy"
        )
    keeps_names = SOURCES[export.source.kind].images_are_files
    taken = set(names) if keeps_names else set()
    placed = Placed()
    contents = read_all(export.images)
    for image, data, name in zip(export.images, contents, names, strict=True):
        picture = read_picture(image, data)
        file = _file(picture, name, taken)
        _place(export, picture, file, target)
        placed.names.append(file.name)
        if file.is_encoded:
            placed.encoded.append(picture.what)
        elif keeps_names and file.name != name:
            placed.renamed.append(f"{_suffix(name)} as {_suffix(file.name)}")
    return placed


def _name(export: Export, image_id: str, class_name: str, rank: int) -> str:
    """Return the name of an image in the folder, before its content is known."""
    kind = SOURCES[export.source.kind]
    if not kind.images_are_files:
        return f"{class_name}/{rank:06d}"
    return image_id if kind.id_has_class else f"{class_name}/{image_id}"


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _file(picture: Picture, name: str, taken: set[str]) -> _File:
    """Return how an image is written; the new name is added to the `taken` ones."""
    is_known = _suffix(name) in LOADER_SUFFIXES
    fitting = _suffix(name) if is_known else SUFFIXES.get(picture.form)
    if picture.is_misread:
        fitting = None
    suffix = fitting or ENCODED_SUFFIX
    if suffix != _suffix(name):
        name = _free_name(PurePosixPath(name).with_suffix(suffix), taken)
        taken.add(name)
    return _File(name, is_encoded=fitting is None)


def _free_name(path: PurePosixPath, taken: set[str]) -> str:
    """Return a path, with a number behind the stem if another image has it."""
    free = path
    number = 0
    while str(free) in taken:
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return str(free)


def _place(export: Export, picture: Picture, file: _File, target: Path) -> None:
    path = target / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    if file.is_encoded:
        path.write_bytes(encode(picture, "png", export.source.max_pixels))
    elif export.files == "copy":
        path.write_bytes(picture.data)
    else:
        path.symlink_to(os.path.realpath(picture.image.path))
