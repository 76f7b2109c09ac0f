"""What happens to odd images, as the table in docs/data.md says, in both decoders."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from otcondense.datasets import UnreadableImageError, decode_image
from otcondense.datasets.decoding import FORMATS, decode_reduced
from otcondense.datasets.fast_decoding import decode_pixels
from tests.unit.datasets.odd_files import (
    CLEAR_AND_SOLID,
    chunk,
    png,
    saved,
    tiff,
    with_comment,
    with_segments,
)

LIMIT = 10**6
WHITE = [255, 255, 255]
BLUE = [0, 100, 200]
BIG = b"x" * 2_000_000
"""More text than Pillow unpacks."""
GREY = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))


def decoded(data, channels=3):
    """Return the pixels [h, w, c], the same of every decoder."""
    image = decode_image(data, channels=channels, max_pixels=LIMIT)
    fast = decode_pixels(data, channels=channels, max_pixels=LIMIT).permute(1, 2, 0).numpy()
    pixels = np.asarray(image).reshape(fast.shape)
    np.testing.assert_array_equal(fast, pixels)
    return pixels


def refused(data):
    """Return the reason that every decoder gives."""
    reasons = set()
    for decode in (decode_image, decode_pixels):
        with pytest.raises(UnreadableImageError) as caught:
            decode(data, channels=3, max_pixels=LIMIT)
        reasons.add(str(caught.value))
    (reason,) = reasons
    return reason


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("form", sorted({"PNG", "WEBP", "TIFF", "GIF", "AVIF"} & set(FORMATS)))
def test_transparent_pixels_are_white(form, channels):
    data = saved(CLEAR_AND_SOLID, form)
    pixels = decoded(data, channels).astype(int)
    solid = BLUE if channels == 3 else [81]
    assert (pixels[:, 0] == 255).all()
    assert np.abs(pixels[:, -1] - solid).max() <= 3
    thumbnail = np.asarray(decode_reduced(data, side=16, max_pixels=LIMIT)).astype(int)
    assert (thumbnail[:, 0] == 255).all()


@pytest.mark.parametrize("mode", ["LA", "RGBA", "PA", "P"])
def test_half_transparent_pixels_are_mixed_with_white(mode):
    colour = Image.new("RGBA", (4, 4), (100, 100, 100, 128))
    if mode == "P":
        palette = [chunk(b"PLTE", bytes([100, 100, 100])), chunk(b"tRNS", bytes([128]))]
        data = png([b"\0" * 4] * 4, width=4, bits=8, colours=3, extra=tuple(palette))
    elif mode == "PA":
        indexed = colour.convert("LA").convert("PA")
        indexed.putalpha(128)
        data = saved(indexed, "TIFF")
    else:
        data = saved(colour.convert(mode), "PNG")
    assert np.abs(decoded(data).astype(int) - (100 * 128 + 255 * 127) / 255).max() <= 1


@pytest.mark.parametrize(
    ("bits", "colours", "row", "clear", "expected"),
    [
        (1, 0, b"\x40", struct.pack(">H", 0), [WHITE, WHITE]),
        (2, 0, b"\x40", struct.pack(">H", 1), [WHITE, [0] * 3]),
        (4, 0, b"\x12", struct.pack(">H", 1), [WHITE, [34] * 3]),
        (8, 0, bytes([7, 50]), struct.pack(">H", 7), [WHITE, [50] * 3]),
        (16, 0, struct.pack(">2H", 1000, 257), struct.pack(">H", 1000), [WHITE, [1] * 3]),
        (8, 2, bytes([9, 8, 7, *BLUE]), struct.pack(">3H", 9, 8, 7), [WHITE, BLUE]),
        (
            16,
            2,
            struct.pack(">6H", 0x1234, 0x5678, 0x9ABC, *(257 * level for level in BLUE)),
            struct.pack(">3H", 0x1234, 0x5678, 0x9ABC),
            [WHITE, BLUE],
        ),
    ],
)
def test_one_colour_of_a_png_is_transparent(bits, colours, row, clear, expected):
    data = png([row], width=2, bits=bits, colours=colours, extra=(chunk(b"tRNS", clear),))
    np.testing.assert_array_equal(decoded(data)[0], expected)


@pytest.mark.parametrize("form", sorted({"PNG", "WEBP", "TIFF", "GIF", "AVIF"} & set(FORMATS)))
def test_the_first_frame_of_an_animation_is_taken(form):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ((200, 100, 0), (0, 0, 200))]
    data = saved(frames[0], form, save_all=True, append_images=frames[1:])
    assert np.abs(decoded(data).astype(int) - [200, 100, 0]).max() <= 3


def test_of_a_jpeg_with_several_pictures_the_first_is_taken():
    second = Image.new("RGB", (16, 16), (0, 0, 200))
    data = saved(NOISE, "MPO", save_all=True, append_images=[second])
    np.testing.assert_array_equal(decoded(data), decoded(saved(NOISE, "JPEG")))


@pytest.mark.parametrize(
    "form", sorted({"PNG", "WEBP", "TIFF", "GIF", "AVIF", "JPEG", "BMP", "PPM"} & set(FORMATS))
)
def test_a_file_that_ends_in_the_middle_is_refused_or_whole(form):
    data = saved(NOISE, form)
    assert "damaged" in refused(data[: len(data) // 2]) or "not an image" in refused(data[:30])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (tiff(struct.pack("<2I", 5, 70_000), width=2, bits=32), "32-bit or signed integer"),
        (tiff(struct.pack("<2i", -5, 7), width=2, bits=32, kind=2), "32-bit or signed integer"),
        (tiff(struct.pack("<2h", -5, 7), width=2, bits=16, kind=2), "32-bit or signed integer"),
        (tiff(struct.pack("<2f", 0.5, 7), width=2, bits=32, kind=3), "floating-point"),
        (b"Pf 1 1 -1.0\n" + struct.pack("<f", 1.0), "floating-point"),
        (saved(Image.new("LAB", (4, 4)), "TIFF"), "LAB pixels are not read"),
    ],
)
def test_levels_without_a_range_are_refused(data, reason):
    assert reason in refused(data)


@pytest.mark.parametrize(
    ("data", "levels"),
    [
        (tiff(struct.pack("<2H", 257, 65535), width=2, bits=16), [1, 255]),
        (tiff(struct.pack("<2H", 257, 65535), width=2, bits=16, photometric=0), [254, 0]),
        (tiff(bytes([0x80, 0x0F, 0xFF]), width=2, bits=12), [127, 255]),
        (png([struct.pack(">2H", 257, 65535)], width=2, bits=16, colours=0), [1, 255]),
        (b"P5 2 1 65535\n" + struct.pack(">2H", 257, 65535), [1, 255]),
        (b"P5 2 1 4095\n" + struct.pack(">2H", 2048, 4095), [127, 255]),
    ],
)
def test_levels_of_12_and_16_bits_are_scaled_to_8(data, levels):
    np.testing.assert_array_equal(decoded(data, 1)[0, :, 0], levels)


TEXTS = {
    "tEXt": b"Comment\0" + BIG,
    "zTXt": b"Comment\0\0" + zlib.compress(BIG),
    "iTXt": b"Comment\0\1\0\0\0" + zlib.compress(BIG),
    "iCCP": b"profile\0\0" + zlib.compress(BIG),
    "tEXt exif": b"Raw profile type exif\0" + BIG,
    "zTXt exif": b"Raw profile type exif\0\0" + zlib.compress(BIG + bytes(range(256)) * 999, 0),
    "iTXt xmp": b"XML:com.adobe.xmp\0\0\0\0\0" + BIG,
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_png_with_much_text_is_sound(name):
    """Also 70 such texts, more than Pillow holds in memory."""
    extra = (chunk(name[:4].encode(), TEXTS[name]),) * (70 if name == "zTXt" else 1)
    data = png([b"\1\2", b"\3\4"], width=2, bits=8, colours=0, extra=extra)
    np.testing.assert_array_equal(decoded(data, 1)[:, :, 0], [[1, 2], [3, 4]])


@pytest.mark.parametrize("where", ["comment", "profile", "appended"])
def test_a_jpeg_with_much_else_is_sound(where):
    """The bytes look like thousands of scans, as those of a film behind a photograph may."""
    other = (b"\xff\xda" + b"x" * 98) * 10_000
    data = saved(NOISE, "JPEG")
    if where == "comment":
        odd = with_segments(data, 0xFE, other)
    elif where == "profile":
        odd = with_segments(data, 0xE2, other)
    else:
        odd = data + other
    np.testing.assert_array_equal(decoded(odd), decoded(data))


def test_a_gif_with_a_large_comment_is_sound():
    data = saved(GREY, "GIF")
    np.testing.assert_array_equal(decoded(with_comment(data, BIG)), decoded(data))


@pytest.mark.parametrize("form", ["WEBP", "TIFF"])
def test_large_xmp_is_no_reason(form):
    options = {"xmp": BIG} if form == "WEBP" else {"tiffinfo": {700: BIG}}
    np.testing.assert_array_equal(decoded(saved(NOISE, form, **options)), np.asarray(NOISE))


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(form):
    data = saved(NOISE.convert("CMYK"), form, **({"quality": 100} if form == "JPEG" else {}))
    assert np.abs(decoded(data).astype(int) - np.asarray(NOISE)).mean() < 12


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_orientation_is_turned_alike(form, turn, channels):
    """JPEG files are turned as tensors, the others by Pillow."""
    exif = Image.Exif()
    exif[0x0112] = turn
    picture = NOISE.crop((0, 0, 40, 24))
    flat = decoded(saved(picture, form), channels)
    upright = decoded(saved(picture, form, exif=exif), channels)
    expected = {
        1: flat,
        2: flat[:, ::-1],
        3: flat[::-1, ::-1],
        4: flat[::-1],
        5: flat.transpose(1, 0, 2),
        6: np.rot90(flat, -1),
        7: np.rot90(flat, 2).transpose(1, 0, 2),
        8: np.rot90(flat),
    }
    np.testing.assert_array_equal(upright, expected[turn])


def test_a_png_whose_text_says_its_orientation_is_upright():
    xmp = b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="3"/>'
    data = png([b"\1\2"], width=2, bits=8, colours=0, extra=(chunk(b"iTXt", xmp),))
    np.testing.assert_array_equal(decoded(data, 1)[0, :, 0], [2, 1])
