"""Thumbnails: the whole image in its shape, tiny images pixel by pixel, and what is refused."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from otcondense.datasets import SourceConfig
from otcondense.datasets.thumbnails import THUMBNAIL_SIDE, media_type, thumbnail, thumbnails
from otcondense.datasets.unreadable import UnreadableImageError
from otcondense.datasets.wanted import WantedImage
from otcondense.errors import InputError
from otcondense.store import sha256_bytes

MOST = 10**7


def encoded(pixels: np.ndarray, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("size", "kind", "expected", "media"),
    [
        ((300, 200, 3), "JPEG", (64, 96), "image/jpeg"),
        ((120, 960, 3), "PNG", (96, 12), "image/jpeg"),
        ((8, 8), "PNG", (96, 96), "image/png"),
        ((20, 24, 3), "PNG", (96, 80), "image/png"),
        ((64, 10, 3), "PNG", (10, 64), "image/png"),
    ],
)
def test_a_thumbnail_has_the_shape_of_its_image(size, kind, expected, media) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    made = thumbnail(encoded(pixels, kind), side=THUMBNAIL_SIDE, max_pixels=MOST)
    assert media_type(made) == media
    found = Image.open(io.BytesIO(made))
    assert found.size == expected
    if media == "image/png":
        times = max(expected) // max(size)
        shown = np.asarray(found.convert("RGB"))[::times, ::times]
        assert (shown == np.asarray(Image.fromarray(pixels).convert("RGB"))).all()


@pytest.mark.parametrize(
    "data", [b"", b"no image", encoded(np.zeros((9, 9), np.uint8), "PNG")[:40]]
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableImageError):
        thumbnail(data, side=96, max_pixels=MOST)


def test_a_huge_image_is_refused() -> None:
    with pytest.raises(UnreadableImageError, match="more than 99"):
        thumbnail(encoded(np.zeros((10, 10), np.uint8), "PNG"), side=96, max_pixels=99)


def test_thumbnails_are_in_order_and_an_image_that_has_changed_is_named(tmp_path: Path) -> None:
    files = [encoded(np.full((8, 8), shade, np.uint8), "PNG") for shade in (0, 90, 200)]
    wanted = []
    for number, data in enumerate(files):
        path = tmp_path / f"{number}.png"
        path.write_bytes(data)
        wanted.append(WantedImage(path.name, 0, str(path), sha256_bytes(data)))
    source = SourceConfig(path=str(tmp_path))
    found = list(thumbnails(wanted, source))
    assert found == [thumbnail(each, side=96, max_pixels=MOST) for each in files]
    (tmp_path / "1.png").write_bytes(files[0])
    with pytest.raises(InputError, match=r"1.png has changed"):
        list(thumbnails(wanted, source))
