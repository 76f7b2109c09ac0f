"""Letters in the fonts that ship with matplotlib: classes with a known head, a known long tail and known outliers.

The kind of every image is in its name (head-0001.png), so that what a method chooses, and leaves out, can be counted.
"""

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from otcondense.errors import InputError

HEAD = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSerif")
TAIL = (
    "DejaVuSans-Oblique",
    "DejaVuSerif-Italic",
    "STIXGeneral",
    "STIXGeneralItalic",
    "cmr10",
    "cmss10",
    "cmtt10",
    "cmmi10",
)
MARKER = "glyphs.json"
LARGEST_TURN, LARGEST_SHIFT, SCALES = 12.0, 0.08, (0.62, 0.82)
"""Degrees; share of the side; height of the letters as a share of the side."""


@dataclass(frozen=True)
class GlyphConfig:
    """What is drawn."""

    letters: str = "ABCDEFGHIJKLMNOPQRST"
    """A class for each."""
    size: int = 32
    """Side of the images in pixels."""
    train_images: int = 400
    """Of each class."""
    held_out_images: int = 100
    """Of each class; head and tail in the same proportion, no outliers."""
    tail_share: float = 0.15
    """Of a class's images, in eight rare fonts."""
    outlier_share: float = 0.05
    """Of a class's training images: noise, another class's letter, or one upside down."""
    seed: int = 0


def write_glyphs(root: str | Path, config: GlyphConfig | None = None) -> None:
    """Write the images once as `root/train/LETTER/KIND-NNNN.png` and `root/held_out/...`, all or nothing.

    Raises: InputError if `root` holds something else, or matplotlib, whose fonts are drawn, is missing.
    """
    config, final = config or GlyphConfig(), Path(root)
    if (final / MARKER).is_file():
        try:
            found = json.loads((final / MARKER).read_bytes())
        except ValueError as error:
            raise InputError(
                f"{final / MARKER} is damaged ({error}); remove {root}, and the glyphs are written again"
            ) from error
        if found != asdict(config):
            raise InputError(
                f"{root} holds glyphs of other settings; remove it or choose another folder"
            )
        return
    if final.exists() and any(final.iterdir()):
        raise InputError(
            f"{root} must be absent, empty or hold the glyphs, found other files; choose another folder"
        )
    temporary = final.parent / f".tmp-{uuid.uuid4().hex}"
    try:
        for name, image in _images(config):
            _write(temporary / name, image)
        (temporary / MARKER).write_text(json.dumps(asdict(config), sort_keys=True))
        if final.exists():
            final.rmdir()
        temporary.rename(final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _images(config: GlyphConfig) -> Iterator[tuple[str, Image.Image]]:
    folder = _fonts()
    for split, count, outliers in (
        ("train", config.train_images, config.outlier_share),
        ("held_out", config.held_out_images, 0.0),
    ):
        for place, letter in enumerate(config.letters):
            generator = np.random.default_rng([config.seed, split == "train", place])
            num_tail, num_outliers = round(config.tail_share * count), round(outliers * count)
            kinds = (
                ["outlier"] * num_outliers
                + ["tail"] * num_tail
                + ["head"] * (count - num_tail - num_outliers)
            )
            for number, kind in enumerate(kinds):
                yield (
                    f"{split}/{letter}/{kind}-{number:04d}.png",
                    _draw(letter, kind, folder, config, generator),
                )


def _draw(
    letter: str, kind: str, folder: Path, config: GlyphConfig, generator: np.random.Generator
) -> Image.Image:
    fonts = TAIL if kind == "tail" else HEAD
    font = str(folder / f"{fonts[generator.integers(len(fonts))]}.ttf")
    if kind != "outlier":
        return _letter(letter, font, config.size, generator)
    manner = generator.integers(3)
    if manner == 0:
        return Image.fromarray(
            generator.integers(0, 256, (config.size, config.size), dtype=np.uint8)
        )
    if manner == 1:
        others = config.letters.replace(letter, "")
        return _letter(others[generator.integers(len(others))], font, config.size, generator)
    return _letter(letter, font, config.size, generator).rotate(180)


def _letter(letter: str, font: str, size: int, generator: np.random.Generator) -> Image.Image:
    """Draw a letter in white on black, somewhat turned, scaled and shifted; four times too large, for smooth edges."""
    side = 4 * size
    height = side * generator.uniform(*SCALES)
    image = Image.new("L", (side, side))
    shift = generator.uniform(-LARGEST_SHIFT, LARGEST_SHIFT, 2) * side
    place = (side / 2 + float(shift[0]), side / 2 + float(shift[1]))
    ImageDraw.Draw(image).text(
        place, letter, fill=255, font=ImageFont.truetype(font, int(height)), anchor="mm"
    )
    turned = image.rotate(
        generator.uniform(-LARGEST_TURN, LARGEST_TURN), resample=Image.Resampling.BICUBIC
    )
    return turned.resize((size, size), Image.Resampling.BOX)


def _fonts() -> Path:
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise InputError(
            "glyphs are drawn in matplotlib's fonts; install it: pip install 'otcondense[glyphs]'"
        ) from error
    return Path(mpl.get_data_path()) / "fonts" / "ttf"


def _write(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    os.utime(path, (0, 0))
