"""JPEG by torchvision: the same pixels and the same verdict as Pillow, also of damaged files."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from otcondense.datasets import UnreadableImageError, decode_image
from otcondense.datasets.fast_decoding import decode_pixels, jpeg_operator
from otcondense.datasets.gpu_decoding import decode_batch
from otcondense.datasets.metadata import count_scans, is_whole_jpeg

LIMIT = 10**6
RNG = np.random.default_rng(0)
SMOOTH = Image.fromarray(RNG.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(
    (160, 120), Image.Resampling.BICUBIC
)
KINDS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "full colour": {"subsampling": 0, "quality": 95},
    "restarts": {"restart_marker_blocks": 4},
}
DAMAGES = 30


def jpeg(kind="baseline", mode="RGB"):
    sink = io.BytesIO()
    SMOOTH.convert(mode).save(sink, "JPEG", **KINDS[kind])
    return sink.getvalue()


def outcome(decode, data):
    """Return the pixels [h, w, c] or the reason."""
    try:
        return decode(data, channels=3, max_pixels=LIMIT)
    except UnreadableImageError as error:
        return str(error)


def damaged(data, rng):
    """Return a file with a cut, other bytes, missing bytes, added bytes or zeros."""
    place = int(rng.integers(2, len(data)))
    more = rng.integers(0, 256, int(rng.integers(1, 50)), dtype=np.uint8).tobytes()
    return [
        data[:place],
        data[:place] + b"\xff\xd9",
        data[:place] + more + data[place + len(more) :],
        data[:place] + data[place + len(more) :],
        data[:place] + more + data[place:],
        data[:place] + bytes(50) + data[place + 50 :],
    ][rng.integers(6)]


def test_torchvision_decodes_jpeg_files():
    assert jpeg_operator("decode_jpeg") is not None
    assert jpeg_operator("decode_nothing") is None


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("kind", KINDS)
def test_pixels_are_those_of_pillow(kind, mode):
    data = jpeg(kind, mode)
    expected = np.asarray(decode_image(data, channels=3, max_pixels=LIMIT))
    np.testing.assert_array_equal(outcome(decode_pixels, data).permute(1, 2, 0), expected)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_have_one_verdict(kind, mode):
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(DAMAGES):
        data = damaged(jpeg(kind, mode), rng)
        expected, found = outcome(decode_image, data), outcome(decode_pixels, data)
        if isinstance(expected, str):
            refused += 1
            assert found == expected
        else:
            np.testing.assert_array_equal(found.permute(1, 2, 0), np.asarray(expected))
    assert 0 < refused < DAMAGES


@pytest.mark.parametrize("cut", [1, 2, 3, 100, 1000])
def test_a_file_without_its_end_is_refused(cut):
    reason = outcome(decode_pixels, jpeg()[:-cut])
    assert reason.startswith("damaged: OSError: image file is truncated")


def test_scans_are_those_of_the_picture():
    assert count_scans(jpeg()) == 1
    progressive = jpeg("progressive")
    scans = count_scans(progressive)
    assert scans > 5
    assert count_scans(progressive + progressive) == scans
    hidden = progressive[:2] + b"\xff\xfe\x00\x06\xff\xd9\xff\xda" + progressive[2:]
    assert count_scans(hidden) == scans


def test_only_files_with_their_end_are_whole():
    for kind in KINDS:
        data = jpeg(kind)
        assert is_whole_jpeg(data)
        assert is_whole_jpeg(data + b"a film")
        assert not is_whole_jpeg(data[:-2])
    thumbnail = jpeg()
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    assert not is_whole_jpeg(jpeg()[:2] + segment + jpeg()[2:-2])


def test_without_a_gpu_the_cpu_decodes_a_batch():
    """The real operator runs: it refuses every file here."""
    if torch.cuda.is_available():
        pytest.skip("tests/gpu decodes on it")
    png = io.BytesIO()
    SMOOTH.save(png, "PNG")
    files = [jpeg(), jpeg(mode="L"), png.getvalue(), jpeg()[:-5], b"", jpeg(mode="CMYK")]
    found = decode_batch(files, channels=3, max_pixels=LIMIT, device=torch.device("cuda"))
    for data, each in zip(files, found, strict=True):
        expected = outcome(decode_pixels, data)
        if isinstance(expected, str):
            assert str(each) == expected
        else:
            assert torch.equal(each, expected)
