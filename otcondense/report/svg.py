"""Plain SVG pictures: static, of fixed bytes, on white, readable in light and dark pages."""

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

INK = "#1b2330"
SOFT = "#566173"
GRID = "#e1e6ec"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"
FONT_SIZE = 12
"""Pixels of all text except titles."""
TITLE_SIZE = 14
MARGIN = 0.04
"""Share of the range of the values that a scale leaves free on each side."""
FLAT_RANGE = 0.05
"""Share of a value that a scale shows on each side if all values are equal."""
STEPS = (1, 2, 5, 10)
"""Distances of ticks, times a power of ten."""

Point = tuple[float, float]
"""Pixels from the left and from the top."""


@dataclass(frozen=True)
class Scale:
    """A straight map from values to pixels."""

    low: float
    high: float
    start: float
    """Pixel of `low`."""
    end: float

    def at(self, value: float) -> float:
        """Return the pixel of a value."""
        return self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low)

    def ticks(self, most: int) -> list[float]:
        """Return at most `most` + 1 round values inside the scale, evenly spaced."""
        raw = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(each * power for each in STEPS if each * power >= raw * (1 - 1e-9))
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [number * step for number in range(first, last + 1)]


def fitted(
    values: Iterable[float],
    start: float,
    end: float,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Scale:
    """Return a scale that shows all values, with some room inside their bounds."""
    found = list(values)
    low, high = min(found), max(found)
    room = (high - low) * MARGIN or abs(high) * FLAT_RANGE or 1.0
    return Scale(max(bounds[0], low - room), min(bounds[1], high + room), start, end)


@dataclass
class Picture:
    """The parts of one picture, drawn in their order."""

    width: int
    height: int
    title: str
    """What it shows, in words."""
    parts: list[str] = field(default_factory=list)

    def line(
        self, points: Sequence[Point], colour: str, width: float = 1.0, dash: str = ""
    ) -> None:
        """Draw straight lines through points."""
        places = " ".join(f"{_pixel(x)},{_pixel(y)}" for x, y in points)
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<polyline points="{places}" fill="none" stroke="{colour}" '
            f'stroke-width="{width:g}"{dashes}/>'
        )

    def dot(self, at: Point, radius: float, colour: str, *, is_faint: bool = False) -> None:
        """Draw a filled circle."""
        opacity = ' fill-opacity="0.45"' if is_faint else ""
        self.parts.append(
            f'<circle cx="{_pixel(at[0])}" cy="{_pixel(at[1])}" r="{radius:g}" '
            f'fill="{colour}"{opacity}/>'
        )

    def text(
        self,
        at: Point,
        words: str,
        anchor: Literal["start", "middle", "end"] = "start",
        colour: str = INK,
        *,
        is_title: bool = False,
    ) -> None:
        """Write one line; `at` is the end of its base line that `anchor` names."""
        size = f' font-size="{TITLE_SIZE}" font-weight="600"' if is_title else ""
        self.parts.append(
            f'<text x="{_pixel(at[0])}" y="{_pixel(at[1])}" text-anchor="{anchor}" '
            f'fill="{colour}"{size}>{html.escape(words)}</text>'
        )

    def render(self) -> bytes:
        """Return the SVG file."""
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" role="img" '
            f'font-family="{FONT}" font-size="{FONT_SIZE}">',
            f"<title>{html.escape(self.title)}</title>",
            f'<rect width="{self.width}" height="{self.height}" fill="#ffffff"/>',
            *self.parts,
            "</svg>",
        ]
        return ("\n".join(lines) + "\n").encode()


def _pixel(value: float) -> str:
    """Return a pixel to a tenth, without a negative zero."""
    return f"{round(value, 1) + 0.0:g}"
