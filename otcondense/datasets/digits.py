"""scikit-learn's handwritten digits as a folder of PNG files.

They are 1,797 real images of 8x8 pixels, of ten classes.
"""

import json
import os
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from otcondense.errors import InputError
from otcondense.store.local_files import write_whole

MARKER = "digits.json"
GREY_LEVELS = 16
"""Largest value of the original images."""
WHITE = 255
"""Largest value of an 8-bit image."""
SPLITS = ("train", "held_out")


def write_digits(root: str | Path, *, held_out_share: float = 0.221, seed: int = 0) -> None:
    """Write the digits once as `root/train/{0..9}/NNNN.png` and `root/held_out/{0..9}/NNNN.png`.

    The folder is written whole or not at all. The split is stratified and fixed by `seed`; by
    default it has 1,400 and 397 images. NNNN is the row of the image in scikit-learn's data set.
    All files have the same date, so every copy of the data has the same fingerprint.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository
    (1998), test part.

    Raises: InputError if `root` holds something else, or the digits in another split.
    """
    final = Path(root)
    if not 0 < held_out_share < 1:
        raise InputError(f"held_out_share must lie between 0 and 1, found {held_out_share}")
    settings = {"held_out_share": held_out_share, "seed": seed}
    if _is_complete(final, settings):
        return
    with write_whole(final) as temporary:
        _write_all(temporary, settings)
        if final.exists():
            shutil.rmtree(final)


def _is_complete(root: Path, settings: dict[str, float]) -> bool:
    """Tell whether the digits are there in this split.

    Raises: InputError if the folder holds something else, which must not be deleted.
    """
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    marker = root / MARKER
    if not marker.is_file():
        raise InputError(
            f"{root} must be absent, empty or hold the digits, found other files; "
            "choose another folder"
        )
    try:
        written = dict(json.loads(marker.read_bytes()))
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{marker} is damaged ({error}); remove {root}, and the digits will be written again"
        ) from error
    found = {key: written.get(key) for key in settings}
    if found != settings:
        raise InputError(
            f"{root} holds the digits split with {found}, expected {settings}; "
            "remove it or choose another folder"
        )
    counts: dict[str, int] = written.get("counts", {})
    return counts == {split: len(list(root.glob(f"{split}/*/*.png"))) for split in SPLITS}


def _write_all(root: Path, settings: dict[str, float]) -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * (WHITE / GREY_LEVELS)).astype(np.uint8)
    rows = dict(zip(SPLITS, _split(digits.target, settings), strict=True))
    for split, chosen in rows.items():
        for row in chosen:
            _write_png(root / split / str(digits.target[row]) / f"{row:04d}.png", pixels[row])
    counts = {split: len(chosen) for split, chosen in rows.items()}
    marker = json.dumps({**settings, "counts": counts}, sort_keys=True, indent=1)
    (root / MARKER).write_text(marker + "\n")


def _split(labels: NDArray[np.int64], settings: dict[str, float]) -> list[NDArray[np.int64]]:
    from sklearn.model_selection import train_test_split

    size = round(settings["held_out_share"] * len(labels))
    parts = train_test_split(
        np.arange(len(labels)), test_size=size, stratify=labels, random_state=int(settings["seed"])
    )
    return [np.sort(part) for part in parts]


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    os.utime(path, (0, 0))
