"""Places of image sets: which forms there are, and whether there are images."""

from pathlib import Path

from otcondense.datasets import SourceConfig
from otcondense.datasets.files import list_tree
from otcondense.datasets.suffixes import IMAGE_SUFFIXES
from otcondense.datasets.trees import Tree
from otcondense.errors import InputError
from otcondense.near_names import near_path
from otcondense.reading import RefusedFileError, open_regular

FILES = (".npz", ".parquet")
"""Suffixes of files of images."""


def check_place(path: str) -> None:
    """Check that there are images of some form at a path, without reading them.

    Raises: InputError naming the path and what is there.
    """
    place = Path(path)
    forms = "an .npz file, a .parquet file or a folder"
    if not path.strip():
        raise InputError(f"images must be {forms}, found an empty name")
    if place.is_dir():
        return
    try:
        open_regular(place).close()
    except RefusedFileError as error:
        raise InputError(f"images must be {forms}; {error}") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(
            f"images must be {forms}, found nothing at {path}{near_path(place)}"
        ) from error
    if place.suffix not in FILES:
        raise InputError(f"images must be {forms}, found {path}")


def check_images(path: str) -> None:
    """Check as `check_place` does, and that a folder holds images.

    Raises: InputError.
    """
    check_place(path)
    if Path(path).is_dir() and not tables_in(Path(path)):
        image_tree(path)


def tables_in(folder: Path) -> list[Path]:
    """Return the visible Parquet files in a folder, sorted."""
    return sorted(each for each in folder.glob("*.parquet") if not each.name.startswith("."))


def image_tree(path: str) -> Tree:
    """Return all files below a folder.

    Raises: InputError if none of them is an image.
    """
    tree = list_tree(SourceConfig(path=path, allow_links=True))
    if not tree.are(IMAGE_SUFFIXES).any():
        suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
        raise InputError(f"{path} must hold images ({suffixes}) or .parquet files, found neither")
    return tree
