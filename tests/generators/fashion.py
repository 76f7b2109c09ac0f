"""Small files in the format of Fashion-MNIST's original ones."""

import gzip
from pathlib import Path

import numpy as np

from otcondense.store.hashing import sha256_bytes


def write_originals(folder: Path, images: int = 20, *, packed: bool = True) -> dict[str, str]:
    """Write the four files; return the SHA-256 of each one's content by part and kind.

    The labels go round the ten classes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    digests = {}
    for part in ("train", "t10k"):
        arrays = {
            "images": generator.integers(0, 256, (images, 28, 28), dtype=np.uint8),
            "labels": np.arange(images, dtype=np.uint8) % 10,
        }
        for kind, array in arrays.items():
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            content = header + array.tobytes()
            digests[f"{part}-{kind}"] = sha256_bytes(content)
            path = folder / f"{part}-{kind}-idx{array.ndim}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(content) if packed else content)
    return digests
