"""Letters in matplotlib's fonts: classes with a known head, a known long tail and known outliers.

The kind of every image is in its name (head-0001.png), so the chosen and the left-out images of
each kind can be counted.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from otcondense.datasets.written import WrittenImages
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
LARGEST_TURN = 12.0
"""Degrees."""
LARGEST_SHIFT = 0.08
"""As a share of the side."""
SCALES = (0.62, 0.82)
"""Smallest and largest height of the letters, as a share of the side."""
SUPERSAMPLING = 4
"""Letters are drawn this many times too large, for smooth edges."""


@dataclass(frozen=True)
class GlyphConfig:
    """Which images are drawn."""

    letters: str = "ABCDEFGHIJKLMNOPQRST"
    """One class for each letter."""
    size: int = 32
    """Side of the images in pixels."""
    train_images: int = 400
    """Training images of each class."""
    held_out_images: int = 100
    """Held-out images of each class; head and tail in the same proportion, no outliers."""
    tail_share: float = 0.15
    """Share of the images of a class that are drawn in eight rare fonts."""
    outlier_share: float = 0.05
    """Share of the training images of a class that are noise, another class's letter, or a letter
    upside down."""
    seed: int = 0


def write_glyphs(root: str | Path, config: GlyphConfig | None = None) -> None:
    """Write the images once as `root/train/LETTER/KIND-NNNN.png` and `root/held_out/...`.

    The folder is written whole or not at all. If it is there, every file is compared with its hash,
    and damaged or missing ones are written again.

    Raises: InputError if `root` holds something else, or matplotlib is missing.
    """
    config = config or GlyphConfig()
    WrittenImages(Path(root), "glyphs", MARKER, asdict(config), lambda: _images(config)).write()


def _images(config: GlyphConfig) -> Iterator[tuple[str, Image.Image]]:
    """Yield the name and the picture of every image."""
    yield from _split_images(config, "train", config.train_images, config.outlier_share)
    yield from _split_images(config, "held_out", config.held_out_images, 0.0)


def _split_images(
    config: GlyphConfig, split: str, count: int, outlier_share: float
) -> Iterator[tuple[str, Image.Image]]:
    fonts = _fonts()
    num_tail = round(config.tail_share * count)
    num_outliers = round(outlier_share * count)
    num_head = count - num_tail - num_outliers
    kinds = ["outlier"] * num_outliers + ["tail"] * num_tail + ["head"] * num_head

    for place, letter in enumerate(config.letters):
        generator = np.random.default_rng([config.seed, split == "train", place])
        for number, kind in enumerate(kinds):
            image = _draw(letter, kind, fonts, config, generator)
            yield f"{split}/{letter}/{kind}-{number:04d}.png", image


def _draw(
    letter: str, kind: str, folder: Path, config: GlyphConfig, generator: np.random.Generator
) -> Image.Image:
    fonts = TAIL if kind == "tail" else HEAD
    font = str(folder / f"{fonts[generator.integers(len(fonts))]}.ttf")
    if kind != "outlier":
        return _letter(letter, font, config.size, generator)
    draw_outlier = OUTLIERS[generator.integers(len(OUTLIERS))]
    return draw_outlier(letter, font, config, generator)


def _noise(
    _letter: str, _font: str, config: GlyphConfig, generator: np.random.Generator
) -> Image.Image:
    return Image.fromarray(generator.integers(0, 256, (config.size, config.size), dtype=np.uint8))


def _other_letter(
    letter: str, font: str, config: GlyphConfig, generator: np.random.Generator
) -> Image.Image:
    others = config.letters.replace(letter, "")
    return _letter(others[generator.integers(len(others))], font, config.size, generator)


def _upside_down(
    letter: str, font: str, config: GlyphConfig, generator: np.random.Generator
) -> Image.Image:
    return _letter(letter, font, config.size, generator).rotate(180)


Outlier = Callable[[str, str, GlyphConfig, np.random.Generator], Image.Image]
OUTLIERS: tuple[Outlier, ...] = (_noise, _other_letter, _upside_down)


def _letter(letter: str, font: str, size: int, generator: np.random.Generator) -> Image.Image:
    """Draw a letter in white on black, slightly turned, scaled and shifted."""
    side = SUPERSAMPLING * size
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
            "glyphs need the fonts of matplotlib; install it: pip install 'otcondense[glyphs]'"
        ) from error
    return Path(mpl.get_data_path()) / "fonts" / "ttf"
