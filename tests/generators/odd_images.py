"""A folder of images of every kind that people have, with names that do not always fit."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from otcondense.datasets import SourceConfig, list_images, read_image_bytes
from otcondense.store import sha256_bytes

SIZE = (24, 16)
"""Width and height; smooth enough for JPEG."""
TO_EIGHT_BITS = 257


def write_odd_images(root: Path) -> SourceConfig:
    """Write two classes of images of all kinds."""
    for name in ("ant", "bee"):
        (root / name).mkdir(parents=True)
    colour, other = _colours(0), _colours(1)
    colour.save(root / "ant/photo.jpg", "JPEG")
    colour.save(root / "ant/old.jfif", "JPEG")
    other.save(root / "ant/old.jpg", "JPEG")  # the name that old.jfif would get
    colour.save(root / "ant/moving.gif", "GIF", save_all=True, append_images=[other])
    other.save(root / "ant/moving.PNG", "PNG")
    other.quantize(16).save(root / "ant/moving.png", "PNG")
    colour.save(root / "ant/a.b.webp", "WEBP", lossless=True)
    colour.convert("L").save(root / "bee/grey.jpg", "JPEG")
    colour.convert("L").save(root / "bee/grey.gif", "GIF")
    colour.convert("CMYK").save(root / "bee/print.jpeg", "JPEG")
    colour.save(root / "bee/lies.JPEG", "PNG")
    colour.save(root / "bee/lies.gif", "JPEG")
    other.save(root / "bee/lies.png", "GIF")
    _deep().save(root / "bee/deep.png", "PNG")
    _deep().save(root / "bee/deep.tif", "TIFF")
    if find_spec("PIL.AvifImagePlugin"):
        colour.save(root / "bee/new.avif", "AVIF")
    return SourceConfig(path=str(root))


def _colours(seed: int) -> Image.Image:
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    channels = [10 * x + seed, 15 * y, 5 * (x + y) + 20 * seed]
    return Image.fromarray(np.stack(channels, axis=2).astype(np.uint8))


def _deep() -> Image.Image:
    grey = np.asarray(_colours(0).convert("L")).astype(np.uint16)
    return Image.fromarray(grey * TO_EIGHT_BITS)


def rgb(image: Image.Image) -> np.ndarray:
    """Return the pixels of an image as uint8 [h, w, 3]; 16-bit grey is scaled to 8 bits."""
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) // TO_EIGHT_BITS).astype(np.uint8))
    return np.asarray(image.convert("RGB"))


def pixels_of(source: SourceConfig, image_id: str) -> np.ndarray:
    """Return the pixels of an image of a folder, read by Pillow alone."""
    with Image.open(Path(source.path) / image_id) as image:
        return rgb(image)


def whole_manifest(source: SourceConfig) -> pa.Table:
    """Return the manifest of a subset that is the whole source, the last image of a class first."""
    rows = []
    ranks: dict[str, int] = {}
    for record in reversed(list_images(source)):
        rank = ranks[record.class_name] = ranks.get(record.class_name, -1) + 1
        digest = sha256_bytes(read_image_bytes(record.path))
        weight = 1 + rank / 8
        rows.append((record.image_id, record.class_name, record.class_index, rank, weight, digest))
    rows.sort(key=lambda row: (row[2], row[3]))
    columns = zip(*rows, strict=True)
    names = ("image_id", "class_name", "class_index", "rank", "weight", "sha256")
    return pa.table(dict(zip(names, map(list, columns), strict=True)))
