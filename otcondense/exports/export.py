"""A subset to export, and what a format is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa

from otcondense.datasets.listing import Listing
from otcondense.datasets.records import SourceConfig
from otcondense.datasets.wanted import WantedImage
from otcondense.errors import InputError
from otcondense.exports.card.facts import About

CLASSES_FILE = "classes.txt"
"""Class names by index, one a line, as `source.class_names` reads them."""

Encoding = Literal["keep", "jpg", "png"]
"""How the images of WebDataset shards are stored."""


@dataclass(frozen=True)
class Export:
    """The subset to write, and the options of its format."""

    manifest: pa.Table
    images: list[WantedImage]
    source: SourceConfig
    listing: Callable[[], Listing]
    """Returns the listing of the source if it is needed."""
    files: Literal["link", "copy"] = "link"
    """For folders of images: links to those of the source, or copies."""
    with_images: bool = True
    """For hf: write the images too."""
    encode: Encoding = "keep"
    """For webdataset: how the images are stored."""
    prompt: str | None = None
    """For diffusers: the caption of an image, with gaps; None takes the captions of the source, or
    names the class."""
    about: About = field(default_factory=About)
    """For hf: what the card says."""
    captions: pa.Array | None = None
    """The caption of each image of the source, in the order of the manifest; None without any."""

    def texts(self) -> list[str] | None:
        """Return the captions as Python texts, None if the source has none."""
        return None if self.captions is None else list(self.captions.to_pylist())

    def named_classes(self) -> dict[int, str]:
        """Return the names of the classes of the subset by index."""
        classes = self.manifest.select(["class_index", "class_name"])
        unique = classes.group_by(["class_index", "class_name"]).aggregate([]).to_pylist()
        return {int(row["class_index"]): str(row["class_name"]) for row in unique}

    def class_names(self) -> list[str]:
        """Return the names of all classes by index, as `names_by_index` does."""
        return names_by_index(self.named_classes(), self.source, self.listing)


@dataclass(frozen=True)
class Format:
    """One format."""

    write: Callable[[Export, Path], list[str]]
    """Writes a subset to a path that does not exist yet; returns sentences on what it changed."""
    meaning: str
    """Content of the output, for `--help`."""
    plan: Callable[[Export], list[str]] = lambda _: []
    """Returns sentences on what it will change."""
    needs_images: Callable[[Export], bool] = lambda _: True
    """Whether it reads the images."""


def names_by_index(
    named: dict[int, str], source: SourceConfig, listing: Callable[[], Listing]
) -> list[str]:
    """Return the name of every class by its index, from 0.

    If the classes of the subset are not the first ones of the source, the source is listed: a
    reader needs the names of the classes between them.

    Args:
        named: names of the classes of the subset by index.
        source: of the subset.
        listing: returns its listing.

    Raises: InputError if the source has other classes now.
    """
    if set(named) == set(range(len(named))):
        return [named[index] for index in range(len(named))]
    classes = list(listing().classes)
    for index, name in named.items():
        if index >= len(classes) or classes[index] != name:
            raise InputError(
                f"class {index} of {source.path} must be {name!r}, as when the subset was chosen, "
                f"found {classes[index : index + 1]}; restore the classes of the source"
            )
    return classes


def classes_text(names: list[str]) -> str:
    """Return the content of a file of class names."""
    return "".join(f"{name}\n" for name in names)
