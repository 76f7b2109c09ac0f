import io

import numpy as np
import pytest
from PIL import Image

from otcondense.datasets import UnreadableImageError, center_crop, decode_image

LIMIT = 10_000


def encoded(array, mode=None, form="PNG", **options):
    image = Image.fromarray(array) if mode is None else Image.fromarray(array).convert(mode)
    sink = io.BytesIO()
    image.save(sink, form, **options)
    return sink.getvalue()


RAMP = np.arange(12 * 10, dtype=np.uint8).reshape(12, 10) * 2
NOISE = np.random.default_rng(0).integers(0, 256, (60, 60), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_png_keeps_its_values(channels):
    pixels = np.asarray(decode_image(encoded(RAMP), channels=channels, max_pixels=LIMIT))
    expected = RAMP if channels == 1 else np.repeat(RAMP[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(pixels, expected)


def test_sixteen_bit_levels_are_scaled_not_clipped():
    wide = RAMP.astype(np.uint16) * 257
    np.testing.assert_array_equal(
        np.asarray(decode_image(encoded(wide), channels=1, max_pixels=LIMIT)), RAMP
    )


@pytest.mark.parametrize(
    ("mode", "form"),
    [("CMYK", "JPEG"), ("L", "JPEG"), ("P", "PNG"), ("RGBA", "PNG"), ("1", "PNG"), ("LA", "PNG")],
)
def test_every_colour_mode_becomes_rgb(mode, form):
    image = decode_image(encoded(RAMP, mode, form), channels=3, max_pixels=LIMIT)
    assert (image.mode, image.size) == ("RGB", (10, 12))


def test_palette_with_transparency_is_read_without_warning():
    image = Image.fromarray(RAMP).convert("P")
    sink = io.BytesIO()
    image.save(sink, "PNG", transparency=bytes(range(256)))
    assert decode_image(sink.getvalue(), channels=3, max_pixels=LIMIT).mode == "RGB"


def test_exif_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = decode_image(encoded(RAMP, exif=exif), channels=1, max_pixels=LIMIT)
    np.testing.assert_array_equal(np.asarray(upright), np.rot90(RAMP, -1))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"this is a text, not a picture", "not an image"),
        (encoded(NOISE)[: len(encoded(NOISE)) // 2], "damaged"),
        (encoded(RAMP, form="JPEG")[:200], "damaged|not an image"),
        (encoded(np.zeros((101, 100), dtype=np.uint8)), "100x101 pixels, more than 10000"),
        (encoded(RAMP.astype(np.float32), form="TIFF"), "floating-point"),
    ],
)
def test_each_fault_has_its_reason(data, reason):
    with pytest.raises(UnreadableImageError, match=reason):
        decode_image(data, channels=3, max_pixels=LIMIT)


def test_pixel_bomb_is_refused_from_its_header():
    """The file claims 30,000 x 30,000 pixels and holds almost none.

    Decoding it would fail in another way, or take 2.7 GB.
    """
    header = bytearray(encoded(RAMP))
    header[16:24] = (30_000).to_bytes(4, "big") * 2
    import zlib

    header[29:33] = zlib.crc32(bytes(header[12:29])).to_bytes(4, "big")
    with pytest.raises(UnreadableImageError, match="pixels"):
        decode_image(bytes(header), channels=3, max_pixels=LIMIT)


def test_center_crop_of_the_exact_size_changes_nothing():
    np.testing.assert_array_equal(np.asarray(center_crop(Image.fromarray(RAMP), (12, 10))), RAMP)


@pytest.mark.parametrize("size", [(8, 8), (4, 6), (16, 16), (32, 8)])
@pytest.mark.parametrize("source", [(64, 48), (48, 64), (17, 31), (8, 8)])
def test_center_crop_covers_the_wanted_size(source, size):
    image = center_crop(Image.fromarray(np.full(source, 77, dtype=np.uint8)), size)
    assert image.size == (size[1], size[0])
    assert np.asarray(image).min() == np.asarray(image).max() == 77


def test_center_crop_keeps_the_middle():
    array = np.zeros((8, 24), dtype=np.uint8)
    array[:, 8:16] = 200
    assert (np.asarray(center_crop(Image.fromarray(array), (8, 8))) == 200).all()
