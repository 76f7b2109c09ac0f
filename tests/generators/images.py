"""Small folders of images."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_images(folder: Path) -> Path:
    """Write two classes of three images and return the folder."""
    for name in ("ant", "bee"):
        (folder / name).mkdir(parents=True)
        for number in range(3):
            pixels = np.full((4, 4, 3), number, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder
