"""Fashion-MNIST as a folder of PNG files: 70,000 photographs of products, of ten classes.

The original files have 28x28 grey pixels and the MIT licence. They are read from a folder on this
machine: nothing is fetched.
"""

import gzip
import math
import zlib
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from pydantic import Field

from otcondense.config import Config
from otcondense.datasets.written import WrittenImages
from otcondense.errors import InputError
from otcondense.reading import check_size, read_regular, with_home
from otcondense.store.hashing import sha256_bytes

MARKER = "fashion.json"
CLASSES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle-boot",
)
"""Names of the labels 0 to 9."""
PARTS = {"train": "train", "held_out": "t10k"}
"""Prefix of the original files by our split."""
PLACES = (
    "data/FashionMNIST/raw",
    "~/.cache/FashionMNIST/raw",
    "/usr/share/datasets/fashion-mnist",
)
"""Where the original files are looked for: torchvision's folder, and Debian's package."""
FILE_BYTES = 2**26
"""Largest original file, unpacked; the largest one has 47 MB."""
HEADER = 4
"""Bytes before the dimensions: two zeros, the type, and the number of dimensions."""
UINT8 = 8
"""The type of the original files."""
DIGESTS = {
    "train-images": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""SHA-256 of the unpacked original files: packed ones differ with the program that packed them."""
FETCH = (
    "apt-get download dataset-fashion-mnist && dpkg-deb -x dataset-fashion-mnist_*.deb DIR "
    "(then set fashion.files=DIR/usr/share/datasets/fashion-mnist), or "
    "python -c \"import torchvision; torchvision.datasets.FashionMNIST('data', download=True)\""
)
"""Commands that bring the original files."""


class FashionConfig(Config):
    """Which photographs are written, and where."""

    path: str = "data/fashion"
    """Folder for the images, written before the run."""
    files: str | None = None
    """Folder with the original files, train-images-idx3-ubyte.gz and three more, packed or not;
    null looks in the folders of torchvision and of Debian's package."""
    source_images: int = Field(default=1000, ge=1, le=6000)
    """Images of each class to choose from: the first of the original training file."""
    held_out_images: int = Field(default=200, ge=1, le=1000)
    """Held-out images of each class: the first of the original test file."""


def write_fashion(config: FashionConfig, digests: Mapping[str, str] | None = None) -> None:
    """Write the images once as `path/train/CLASS/NNNNN.png` and `path/held_out/CLASS/NNNNN.png`.

    The folder is written whole or not at all. If it is there, every file is compared with its hash,
    and damaged or missing ones are written again. NNNNN is the row of the image in its original
    file.

    Args:
        config: which images, and where.
        digests: SHA-256 of the unpacked original files by part and kind, such as `DIGESTS`; None
            takes any images in this format.

    Source: H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST, arXiv:1708.07747 (2017).

    Raises: InputError if the original files are missing or damaged, or `path` holds something else.
    """
    settings = config.model_dump(include={"source_images", "held_out_images"})
    root = Path(config.path)
    WrittenImages(root, "Fashion-MNIST", MARKER, settings, lambda: _images(config, digests)).write()


def is_written(config: FashionConfig) -> bool:
    """Tell whether the images were written before: the original files are then not needed."""
    return (Path(config.path) / MARKER).is_file()


def original_files(config: FashionConfig, digests: Mapping[str, str] = DIGESTS) -> list[Path]:
    """Return the paths of the four original files, checked.

    Raises: InputError if one is missing or damaged, or holds other images.
    """
    folder = find_files(config.files)
    return [
        _content(folder, part, kind, digests)[0]
        for part in PARTS.values()
        for kind in ("images", "labels")
    ]


def find_files(files: str | None) -> Path:
    """Return the folder with the original files.

    Args:
        files: folder to look in; None looks in `PLACES`.

    Raises: InputError if there is none.
    """
    places = PLACES if files is None else (files,)
    for place in places:
        folder = with_home(place)
        if all(_original(folder, part, "images") for part in PARTS.values()):
            return folder
    raise InputError(
        "Fashion-MNIST needs train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz and the same "
        f"two files of t10k, not found together in {', '.join(places)}; "
        f"set fashion.files to their folder, or fetch them: {FETCH}"
    )


def _images(
    config: FashionConfig, digests: Mapping[str, str] | None
) -> Iterator[tuple[str, Image.Image]]:
    """Yield the name and the picture of every image."""
    folder = find_files(config.files)
    limits = {"train": config.source_images, "held_out": config.held_out_images}
    for split, part in PARTS.items():
        images = _read(folder, part, "images", digests)
        labels = _read(folder, part, "labels", digests)
        if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
            raise InputError(
                f"the files of {part} in {folder} must hold images and a label each, "
                f"found shapes {images.shape} and {labels.shape}; fetch them again"
            )
        for label, name in enumerate(CLASSES):
            for row in np.flatnonzero(labels == label)[: limits[split]]:
                yield f"{split}/{name}/{row:05d}.png", Image.fromarray(images[row])


def _original(folder: Path, part: str, kind: str) -> Path | None:
    """Return the path of an original file, packed or not; None if it is missing."""
    dimensions = 3 if kind == "images" else 1
    plain = folder / f"{part}-{kind}-idx{dimensions}-ubyte"
    packed = plain.with_name(f"{plain.name}.gz")
    return next((path for path in (packed, plain) if path.is_file()), None)


def _read(
    folder: Path, part: str, kind: str, digests: Mapping[str, str] | None
) -> UInt8[np.ndarray, "..."]:
    """Return the array in an original file.

    Raises: InputError if the file is missing or damaged, or holds other images.
    """
    path, data = _content(folder, part, kind, digests)
    try:
        return _array(data)
    except ValueError as error:
        raise InputError(f"{path} cannot be read ({error}); fetch it again: {FETCH}") from error


def _content(
    folder: Path, part: str, kind: str, digests: Mapping[str, str] | None
) -> tuple[Path, bytes]:
    """Return the path of an original file and its unpacked bytes.

    Raises: InputError if the file is missing or damaged, or holds other images.
    """
    path = _original(folder, part, kind)
    if path is None:
        raise InputError(
            f"{folder} must hold the {kind} of {part}, found none; fetch them: {FETCH}"
        )
    data = read_regular(path, FILE_BYTES)
    try:
        data = _unpacked(path, data) if path.suffix == ".gz" else data
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path} cannot be read ({error}); fetch it again: {FETCH}") from error
    if digests is not None and sha256_bytes(data) != digests[f"{part}-{kind}"]:
        raise InputError(
            f"{path} must be the {kind} of {part} of Fashion-MNIST with the SHA-256 "
            f"{digests[f'{part}-{kind}']} (unpacked), found {sha256_bytes(data)}; "
            f"fetch it again: {FETCH}"
        )
    return path, data


def _unpacked(path: Path, data: bytes) -> bytes:
    with gzip.open(BytesIO(data)) as stream:
        unpacked = stream.read(FILE_BYTES + 1)
    check_size(path, len(unpacked), FILE_BYTES)
    return unpacked


def _array(data: bytes) -> UInt8[np.ndarray, "..."]:
    """Return the array of an idx file: its dimensions are 32-bit numbers after the header."""
    if len(data) < HEADER or data[:3] != bytes([0, 0, UINT8]):
        raise ValueError("it is no idx file of bytes")
    count = data[3]
    start = HEADER + 4 * count
    shape = [int(size) for size in np.frombuffer(data[HEADER:start], ">u4", count)]
    if len(data) - start != math.prod(shape):
        raise ValueError(f"it should have {math.prod(shape):,} values, found {len(data) - start:,}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
