"""Made-up photographs in class folders: the same bytes for the same numbers."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

GRID = 6
"""Side of the random colours that an image is made of."""
CLASS_WEIGHT = 0.6
"""Share of a class's own colours in each of its images."""
NOISE_SIDE = 64
"""Side of the tile of noise: without noise, JPEG files would be far smaller than photographs."""
NOISE = 12.0
"""Standard deviation of the noise (8-bit levels)."""
QUALITY = 90
SPLITS = ("train", "held_out")


@dataclass(frozen=True)
class ImageSet:
    """How many images, of which size."""

    classes: int
    train: int
    """Images of each class to choose from."""
    held_out: int
    """Images of each class for the evaluation."""
    side: int
    """Height and width in pixels."""

    def count(self, split: str) -> int:
        """Return the number of images of one split over all classes."""
        each = self.train if split == "train" else self.held_out
        return each * self.classes


def write_images(images: ImageSet, root: Path) -> int:
    """Write `root/{train,held_out}/cNN/NNNN.jpg`, with a thread for each CPU; return their bytes.

    Args:
        images: numbers and size.
        root: a folder, which is made.
    """
    jobs = []
    for split in SPLITS:
        for number in range(images.classes):
            folder = root / split / f"c{number:02d}"
            folder.mkdir(parents=True)
            each = images.count(split) // images.classes
            jobs += [(folder / f"{index:04d}.jpg", number) for index in range(each)]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        sizes = threads.map(lambda job: _write(images.side, root, *job), jobs, chunksize=64)
        return sum(sizes)


def _write(side: int, root: Path, path: Path, number: int) -> int:
    name = str(path.relative_to(root))
    generator = np.random.default_rng(list(name.encode()))
    own = np.random.default_rng(number).uniform(0, 255, (GRID, GRID, 3))
    colours = CLASS_WEIGHT * own + (1 - CLASS_WEIGHT) * generator.uniform(0, 255, own.shape)
    smooth = Image.fromarray(colours.astype(np.uint8)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    tile = generator.normal(0, NOISE, (NOISE_SIDE, NOISE_SIDE, 1)).astype(np.float32)
    repeats = -(-side // NOISE_SIDE)
    noise = np.tile(tile, (repeats, repeats, 1))[:side, :side]
    pixels = np.clip(np.asarray(smooth, np.float32) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, "JPEG", quality=QUALITY)
    return path.stat().st_size
