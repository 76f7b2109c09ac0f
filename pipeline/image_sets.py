"""Images to measure, wherever they come from: an .npz of ADM's form, a folder, or Parquet; a part at a time."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from otcondense.datasets import UnreadableImageError, decode_image
from otcondense.datasets.image_folder import IMAGE_SUFFIXES
from otcondense.diffusion.images import read_images
from otcondense.errors import InputError
from otcondense.evaluation import npz_images
from otcondense.store import Store

PART = 512
"""Images that are in memory at a time."""
MAX_PIXELS = 2**26


def iterate_images(path: str) -> Iterator[UInt8[Tensor, "b c h w"]]:
    """Yield all images below `path` as RGB of one size, or as grey where a file of ours holds grey ones, in the order of their names.

    Args:
        path: an .npz with arr_0 of [n, h, w, c] bytes; a .parquet file, or a folder of them, as `jobs.sample` and
            `jobs.export_samples` write; or a folder, nested or not, of images.

    Raises: InputError if nothing is there, an image cannot be decoded, or two differ in size.
    """
    place = Path(path)
    if place.suffix == ".npz":
        yield from _of_one_size(path, npz_images(path))
    elif place.is_file() and place.suffix == ".parquet":
        yield from _of_one_size(path, _parquet([place]))
    elif place.is_dir():
        tables = sorted(place.glob("*.parquet"))
        yield from _of_one_size(path, _parquet(tables) if tables else _folder(place))
    else:
        raise InputError(f"images must be an .npz file, a .parquet file or a folder, found {path}")


def _parquet(files: list[Path]) -> Iterator[UInt8[Tensor, "b c h w"]]:
    for file in files:
        images, _ = read_images(Store(str(file.parent)), file.name)
        yield torch.from_numpy(images)


def _folder(root: Path) -> Iterator[UInt8[Tensor, "b c h w"]]:
    files = sorted(each for each in root.rglob("*") if each.suffix.lower() in IMAGE_SUFFIXES and each.is_file())
    if not files:
        raise InputError(f"{root} must hold images ({', '.join(sorted(IMAGE_SUFFIXES))}) or .parquet files, found neither")
    for start in range(0, len(files), PART):
        rows = [_pixels(file) for file in files[start : start + PART]]
        odd = next((number for number, row in enumerate(rows) if row.shape != rows[0].shape), None)
        if odd is not None:
            raise InputError(f"{files[start + odd]} is {_size(rows[odd])}, the images before it {_size(rows[0])}; bring all to one size")
        yield torch.from_numpy(np.stack(rows))


def _pixels(file: Path) -> UInt8[np.ndarray, "c h w"]:
    try:
        image = decode_image(file.read_bytes(), channels=3, max_pixels=MAX_PIXELS)
    except (UnreadableImageError, OSError) as error:
        raise InputError(f"image {file} cannot be decoded ({error}); mend it or leave it out") from error
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def _of_one_size(path: str, parts: Iterator[UInt8[Tensor, "_ c h w"]]) -> Iterator[UInt8[Tensor, "_ c h w"]]:
    first = None
    for part in parts:
        first = part.shape[1:] if first is None else first
        if part.shape[1:] != first:
            raise InputError(f"images of {path} must have one size, found {_size(part[0])} after {'x'.join(map(str, first))}")
        yield part
    if first is None:
        raise InputError(f"{path} holds no image")


def _size(image: Tensor | np.ndarray) -> str:
    return "x".join(str(each) for each in image.shape)
