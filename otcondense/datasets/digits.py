"""scikit-learn's handwritten digits as a folder of PNG files.

They are 1,797 real images of 8x8 pixels, of ten classes.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from otcondense.datasets.written import WrittenImages
from otcondense.errors import InputError

MARKER = "digits.json"
GREY_LEVELS = 16
"""Largest value of the original images."""
WHITE = 255
"""Largest value of an 8-bit image."""
SPLITS = ("train", "held_out")
LEGACY = frozenset({"counts"})
"""Keys of earlier markers."""


def write_digits(root: str | Path, *, held_out_share: float = 0.221, seed: int = 0) -> None:
    """Write the digits once as `root/train/{0..9}/NNNN.png` and `root/held_out/{0..9}/NNNN.png`.

    The folder is written whole or not at all. If it is there, every file is compared with its hash,
    and damaged or missing ones are written again. The split is stratified and fixed by `seed`; by
    default it has 1,400 and 397 images. NNNN is the row of the image in scikit-learn's data set.
    All files have the same date, so every copy of the data has the same fingerprint.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository
    (1998), test part.

    Raises: InputError if `root` holds something else, or the digits in another split.
    """
    if not 0 < held_out_share < 1:
        raise InputError(f"held_out_share must lie between 0 and 1, found {held_out_share}")
    settings = {"held_out_share": held_out_share, "seed": seed}
    WrittenImages(Path(root), "digits", MARKER, settings, lambda: _images(settings), LEGACY).write()


def _images(settings: dict[str, float]) -> Iterator[tuple[str, Image.Image]]:
    """Yield the name and the picture of every digit."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * (WHITE / GREY_LEVELS)).astype(np.uint8)
    for split, rows in zip(SPLITS, _split(digits.target, settings), strict=True):
        for row in rows:
            yield f"{split}/{digits.target[row]}/{row:04d}.png", Image.fromarray(pixels[row])


def _split(labels: NDArray[np.int64], settings: dict[str, float]) -> list[NDArray[np.int64]]:
    from sklearn.model_selection import train_test_split

    size = round(settings["held_out_share"] * len(labels))
    parts = train_test_split(
        np.arange(len(labels)), test_size=size, stratify=labels, random_state=int(settings["seed"])
    )
    return [np.sort(part) for part in parts]
