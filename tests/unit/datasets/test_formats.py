"""Every format of Pillow: the allowed ones are decoded, the decoders of others never run."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from otcondense.datasets import SourceConfig, UnreadableImageError, decode_image, list_images
from otcondense.datasets.decoding import FORMATS, decode_reduced
from otcondense.datasets.image_folder import IMAGE_SUFFIXES
from otcondense.datasets.readings import readings
from otcondense.encoders import InputSpec
from pipeline.feature_work import spec_transform
from pipeline.images import decode

Image.init()
PICTURE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
PREFIXES = {
    "BLP": b"BLP1",
    "BUFR": b"BUFR",
    "CUR": b"\0\0\2\0",
    "DCX": b"\xb1\x68\xde\x3a",
    "FITS": b"SIMPLE  =",
    "FLI": b"\0" * 4 + b"\x11\xaf",
    "FTEX": b"FTEX",
    "GBR": b"\0\0\0\x1c\0\0\0\2",
    "GRIB": b"GRIB\0\0\0\1",
    "HDF5": b"\x89HDF\r\n\x1a\n",
    "MCIDAS": b"\0\0\0\0\0\0\0\4",
    "MPEG": b"\0\0\1\xb3",
    "PIXAR": b"\200\350\000\000",
    "PSD": b"8BPS\0\1",
    "SUN": b"\x59\xa6\x6a\x95",
    "WMF": b"\xd7\xcd\xc6\x9a\0\0",
    "XPM": b"/* XPM */",
    "XVTHUMB": b"P7 332",
}
"""First bytes of the formats that Pillow reads and cannot write."""
SPEC = InputSpec(8, 8, 3, (0.5,) * 3, (0.5,) * 3, "bicubic", 1.0, "center")


def sample(name: str) -> bytes:
    """Return a file of a format, or bytes that Pillow takes for one."""
    for mode in ("RGB", "L", "1"):
        sink = io.BytesIO()
        try:
            Image.fromarray(PICTURE).convert(mode).save(sink, name)
        except (KeyError, OSError, ValueError):
            continue
        return sink.getvalue()
    return PREFIXES.get(name, b"").ljust(512, b"\0")


@pytest.mark.filterwarnings("ignore:IM image format is deprecated")
@pytest.mark.parametrize("name", sorted(Image.OPEN))
def test_only_allowed_formats_reach_their_decoder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also under an innocent suffix: EPS would start Ghostscript, ICO decode an image inside."""
    data = sample(name)
    started: list[str] = []

    def forbidden(other: str) -> Any:
        def factory(*_: object) -> None:
            started.append(other)
            raise SyntaxError

        return factory

    for other in set(Image.OPEN) - set(FORMATS):
        monkeypatch.setitem(Image.OPEN, other, (forbidden(other), Image.OPEN[other][1]))

    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "cat.png").write_bytes(data)
    (record,) = list_images(SourceConfig(path=str(tmp_path)))
    (read,) = readings([record.path])
    reason = decode(read, spec_transform(SPEC, 1000)).reason
    assert (reason is None) == (name in FORMATS)
    assert not started
    if name not in FORMATS:
        assert reason is not None
        assert "images are not read, only" in reason or "not an image of a known" in reason
        with pytest.raises(UnreadableImageError):
            decode_reduced(data, side=8, max_pixels=1000)
        assert not started


def test_a_refused_format_is_named() -> None:
    for name in ("EPS", "ICO", "ICNS", "PSD", "WMF", "JPEG2000"):
        with pytest.raises(UnreadableImageError, match=f"^{name} images are not read, only"):
            decode_image(sample(name), channels=3, max_pixels=1000)


def test_every_allowed_format_has_a_suffix_and_can_be_written_here() -> None:
    Image.init()
    suffixes = {suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS}
    assert suffixes >= IMAGE_SUFFIXES
    assert {Image.registered_extensions()[suffix] for suffix in IMAGE_SUFFIXES} == set(FORMATS)
