"""From the bytes of image files to a model's input: one way for files, pictures and samples."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data.transforms_factory import create_transform

from otcondense.datasets import UnreadableImageError, decode_image
from otcondense.encoders import TRANSFORM_VERSION, EncoderConfig, InputSpec
from otcondense.encoders.resizing import resize
from otcondense.errors import InputError
from tests.unit.fuzz.limits import little

LIMIT = 10**6
RNG = np.random.default_rng(0)
NOISE = Image.fromarray(RNG.integers(0, 256, (90, 120, 3), dtype=np.uint8))


def spec(crop_mode="center", *, channels=3, size=(32, 32), interpolation="bicubic"):
    half = (0.5,) * channels
    return InputSpec(*size, channels, half, half, interpolation, 0.9, crop_mode)


def encoded(image, form="JPEG", **options):
    sink = io.BytesIO()
    image.save(sink, form, **options)
    return sink.getvalue()


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("crop_mode", ["center", "squash", "border"])
@pytest.mark.parametrize("source", [(120, 90), (90, 120), (33, 32), (20, 9), (500, 40), (1, 1)])
@pytest.mark.parametrize("size", [(32, 32), (24, 40)])
def test_sizes_and_crops_are_timms(interpolation, crop_mode, source, size):
    image = NOISE.resize(source)
    ours = spec(crop_mode, size=size, interpolation=interpolation).pixels(image)
    reference = create_transform(
        (3, *size),
        interpolation=interpolation,
        crop_pct=0.9,
        crop_mode=crop_mode,
        normalize=False,
        mean=(0.5,) * 3,
    )
    difference = (ours.int() - reference(image)).abs()
    assert difference.max() <= 2
    assert difference.float().mean() < 0.5


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF"])
def test_files_pictures_and_samples_take_one_way(channels, mode, form):
    if (form, mode) == ("PNG", "CMYK"):
        pytest.skip("PNG has no CMYK")
    data = encoded(NOISE.convert(mode), form)
    picture = decode_image(data, channels=channels, max_pixels=LIMIT)
    found = spec(channels=channels).read(data, max_pixels=LIMIT)
    assert (found.width, found.height) == (120, 90)
    assert torch.equal(found.pixels, spec(channels=channels).pixels(picture))
    planes = np.asarray(picture).reshape(90, 120, channels).transpose(2, 0, 1).copy()
    assert torch.equal(found.pixels, spec(channels=channels).fit(torch.from_numpy(planes)))


def test_width_and_height_are_of_the_upright_image():
    exif = Image.Exif()
    exif[0x0112] = 6
    found = spec().read(encoded(NOISE, exif=exif), max_pixels=LIMIT)
    assert (found.width, found.height) == (90, 120)


@pytest.mark.parametrize("data", [b"", b"words", encoded(NOISE)[:-9], encoded(NOISE, "PNG")[:-50]])
def test_read_refuses_what_the_decoder_refuses(data):
    with pytest.raises(UnreadableImageError) as expected:
        decode_image(data, channels=3, max_pixels=LIMIT)
    with pytest.raises(UnreadableImageError) as found:
        spec().read(data, max_pixels=LIMIT)
    assert str(found.value) == str(expected.value)


def test_read_refuses_large_images_before_decoding():
    with pytest.raises(UnreadableImageError, match="120x90 pixels, more than 10799"):
        spec().read(encoded(NOISE), max_pixels=10_799)


def test_the_bits_are_the_same_in_any_order_of_memory():
    pixels = torch.from_numpy(np.array(NOISE)).permute(2, 0, 1)
    inputs = [pixels, pixels.contiguous(), pixels.flip(2).contiguous().flip(2)]
    found = [resize(each, (50, 41), "bicubic") for each in inputs]
    assert all(torch.equal(found[0], each) for each in found)


def test_the_bits_of_the_transform_are_those_of_its_version():
    """If this fails on purpose, `TRANSFORM_VERSION` must change with it."""
    digest = hashlib.sha256()
    for mode in ("center", "squash", "border"):
        for image in (NOISE, NOISE.resize((300, 500), Image.Resampling.NEAREST)):
            digest.update(spec(mode).pixels(image).numpy().tobytes())
    found = digest.hexdigest()[:16]
    assert (TRANSFORM_VERSION, found) == (2, "54321989e7138bee")  # pragma: allowlist secret


def test_many_threads_may_read_at_once():
    files = [encoded(NOISE.resize((40 + 3 * number, 50))) for number in range(40)]
    alone = [spec().read(data, max_pixels=LIMIT).pixels for data in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda data: spec().read(data, max_pixels=LIMIT).pixels, files))
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))


@pytest.mark.parametrize("size", [(1, 10_000), (10_000, 1)])
def test_a_line_is_not_resized_to_gigabytes(size):
    data = encoded(Image.new("RGB", size, (9, 99, 199)), "PNG")
    with little():
        pixels = spec(size=(300, 300)).read(data, max_pixels=LIMIT).pixels
    assert (pixels == torch.tensor([9, 99, 199]).view(3, 1, 1)).all()


def test_every_pretrained_model_of_timm_has_a_known_transform():
    for name in timm.list_pretrained()[::50]:
        InputSpec.of_model(name, image_size=None, channels=3, crop_pct=None)


def test_another_interpolation_is_refused(monkeypatch):
    config = timm.get_pretrained_cfg("test_resnet")
    monkeypatch.setattr(config, "interpolation", "nearest")
    monkeypatch.setattr(timm, "get_pretrained_cfg", lambda _name: config)
    with pytest.raises(InputError, match=r"interpolation bilinear or bicubic, found 'nearest'"):
        InputSpec.of_model("test_resnet", image_size=None, channels=3, crop_pct=None)


def test_features_know_their_transform():
    config = EncoderConfig(name="test_resnet")
    on_gpu = config.model_copy(update={"decode_on": "gpu"})
    assert config.identity()["transform"] == config.transform == f"{TRANSFORM_VERSION}-cpu"
    assert on_gpu.identity() != config.identity()


def test_images_are_not_decoded_on_a_gpu_for_a_network_on_the_cpu():
    with pytest.raises(ValueError, match="set decode_on=cpu or device=auto"):
        EncoderConfig(name="test_resnet", decode_on="gpu", device="cpu")
