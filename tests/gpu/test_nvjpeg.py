"""nvJPEG's pixels are those of the CPU up to a few levels, and its verdicts the same."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from otcondense.datasets import UnreadableImageError
from otcondense.datasets.gpu_decoding import decode_batch
from otcondense.encoders import InputSpec

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
LIMIT = 10**6
GPU = torch.device("cuda")
CPU = torch.device("cpu")
SMOOTH = Image.fromarray(
    np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
).resize((400, 300), Image.Resampling.BICUBIC)
SPEC = InputSpec(224, 224, 3, (0.5,) * 3, (0.5,) * 3, "bicubic", 0.9, "center")


def encoded(form: str = "JPEG", mode: str = "RGB", **options: object) -> bytes:
    sink = io.BytesIO()
    SMOOTH.convert(mode).save(sink, form, **options)
    return sink.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(exif=exif)


FILES = {
    "colour": encoded(),
    "full colour": encoded(subsampling=0, quality=95),
    "progressive": encoded(progressive=True),
    "grey": encoded(mode="L"),
    "turned": turned(),
    "cmyk": encoded(mode="CMYK"),
    "png": encoded("PNG"),
    "cut": encoded()[:-50],
    "cut in the middle": encoded()[:3000],
    "damaged": encoded()[:2000] + bytes(500) + encoded()[2500:],
    "words": b"words",
}


@pytest.mark.parametrize("channels", [1, 3])
def test_inputs_and_verdicts_are_those_of_the_cpu(channels: int) -> None:
    half = (0.5,) * channels
    spec = InputSpec(224, 224, channels, half, half, "bicubic", 0.9, "center")
    on_gpu = spec.read_batch(list(FILES.values()), max_pixels=LIMIT, device=GPU)
    on_cpu = spec.read_batch(list(FILES.values()), max_pixels=LIMIT, device=CPU)
    for name, found, expected in zip(FILES, on_gpu, on_cpu, strict=True):
        if isinstance(expected, UnreadableImageError):
            assert str(found) == str(expected), name
            continue
        assert not isinstance(found, UnreadableImageError), name
        assert (found.width, found.height) == (expected.width, expected.height), name
        assert found.pixels.device.type == "cuda"
        difference = (found.pixels.cpu().int() - expected.pixels).abs().float()
        print(f"{name} {channels}: max {difference.max():g}, mean {difference.mean():.3f}")
        if name != "damaged":
            assert difference.mean() < 2, name
            assert difference.max() < 40, name


def test_sound_files_are_decoded_on_the_gpu() -> None:
    files = [FILES[name] for name in ("colour", "progressive", "grey", "turned")]
    for pixels in decode_batch(files, channels=3, max_pixels=LIMIT, device=GPU):
        assert not isinstance(pixels, UnreadableImageError)
        assert pixels.device.type == "cuda"


def test_an_image_has_the_same_bits_alone_and_in_any_batch() -> None:
    files = [FILES[name] for name in ("colour", "full colour", "progressive", "grey", "turned")]
    together = SPEC.read_batch(files * 5, max_pixels=LIMIT, device=GPU)
    for number, found in enumerate(together):
        (alone,) = SPEC.read_batch([files[number % 5]], max_pixels=LIMIT, device=GPU)
        assert not isinstance(found, UnreadableImageError)
        assert not isinstance(alone, UnreadableImageError)
        assert torch.equal(found.pixels, alone.pixels)
