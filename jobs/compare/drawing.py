"""Static figures of a comparison: figures/METRIC.svg, with a row for each budget and guidance.

Left, means over the training length with a dot for each seed, if there are several lengths. Right,
at the last length, the dots, the mean, its 95 % interval, and how each variant differs from the
reference.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.compare.config import CompareConfig, direction_of
from jobs.compare.overview import heading_text
from jobs.compare.statements import guidances_of, place_text, seeds_text, verdict
from jobs.compare.summary import Cell, Figure, places
from otcondense.evaluation.registry import bounds_of, direction_phrase
from otcondense.report.plots import colour_of
from otcondense.report.svg import GRID, SOFT, Picture, Point, Scale, fitted

DASHES = ("", "7 3", "2 3", "9 3 2 3")
"""So that lines differ by more than colour."""
WIDTH = 1040
CURVES = (60.0, 350.0)
"""Left and right pixel of the curves."""
UNUSED = 240.0
"""Pixels that a picture without curves does not need."""
NAMES = 540.0
"""Right pixel of the names of the variants."""
SWATCH = (546.0, 570.0)
DOTS = (580.0, 800.0)
WORDS = 810.0
"""Left pixel of the verdicts."""
HEAD = 30
"""Pixels of the title of the picture."""
TOP = 30
"""Pixels of the title of a row of panels."""
BOTTOM = 44
"""Pixels of the axis of a panel, and the gap below."""
ROW = 20
"""Pixels of a variant."""
LEAST_HEIGHT = 150
"""Pixels of the curves."""
TICKS = 5
"""Most distances between the ticks of an axis of values."""
NAME_LENGTH = 29
"""Letters of a name that fit."""
MARKS = "a dot is a seed, a line the 95 % interval of the mean"


@dataclass(frozen=True)
class _Look:
    """The colours and dashes of the variants, the same in all figures, and the place of columns."""

    variants: Sequence[str]
    shift: float
    """Pixels by which the columns right of the curves move to the left."""

    def column(self, place: float) -> float:
        return place - self.shift

    def colour(self, variant: str) -> str:
        return colour_of(variant, self.variants)

    def dash(self, variant: str) -> str:
        return DASHES[self.variants.index(variant) % len(DASHES)]


def drawings(
    found: Sequence[Cell], config: CompareConfig, variants: Sequence[str]
) -> dict[str, bytes]:
    """Return the figure of each measured metric by the name of its file.

    The same tables give the same bytes.

    Args:
        found: the tables.
        config: what was compared.
        variants: every variant, in the order of its colours.
    """
    files = {}
    for metric in config.metrics:
        own = [cell for cell in found if cell.metric == metric]
        if own:
            has_curves = len({cell.step for cell in own}) > 1
            look = _Look(variants, 0.0 if has_curves else UNUSED)
            name = re.sub(r"[^\w.-]", "_", metric)
            files[f"figures/{name}.svg"] = _draw(metric, own, config, look)
    return files


def _draw(metric: str, own: Sequence[Cell], config: CompareConfig, look: _Look) -> bytes:
    panels = list(places(own).values())
    heights = [_height(cells) for cells in panels]
    height = HEAD + sum(each + TOP + BOTTOM for each in heights)
    width = round(look.column(WIDTH))
    title = f"{metric} ({direction_phrase(direction_of(metric))}), against {config.against}"
    picture = Picture(width, height, title)
    picture.text((12.0, 22.0), title, is_title=True)
    picture.text((width - 12.0, 22.0), MARKS, "end", SOFT)

    guidances = guidances_of(own)
    top = float(HEAD)
    for cells, inner in zip(panels, heights, strict=True):
        place = place_text(cells[-1], guidances)
        picture.text((look.column(SWATCH[0]), top + 18), place, colour=SOFT)
        edges = (top + TOP, top + TOP + inner)
        if len(cells) > 1:
            words = f"{heading_text(cells[-1], guidances)}, over training steps"
            picture.text((CURVES[0], top + 18), words, colour=SOFT)
            _curves(picture, cells, edges, look)
        _dots(picture, cells[-1], edges, look)
        top += TOP + inner + BOTTOM
    return picture.render()


def _height(cells: Sequence[Cell]) -> int:
    rows = ROW * len(cells[-1].figures)
    return max(LEAST_HEIGHT, rows) if len(cells) > 1 else rows


def _curves(picture: Picture, cells: Sequence[Cell], edges: Point, look: _Look) -> None:
    """Draw the lines over the training lengths, evenly spaced."""
    every = list(itertools.chain.from_iterable(cell.figures for cell in cells))
    bounds = bounds_of(cells[0].metric)
    vertical = fitted(_all_values(every), edges[1], edges[0], bounds)
    horizontal = Scale(-0.4, len(cells) - 0.6, *CURVES)
    for tick in vertical.ticks(TICKS):
        y = vertical.at(tick)
        picture.line([(CURVES[0], y), (CURVES[1], y)], GRID)
        picture.text((CURVES[0] - 6, y + 4), f"{tick:.6g}", "end", SOFT)
    for place, cell in enumerate(cells):
        picture.text((horizontal.at(float(place)), edges[1] + 18), f"{cell.step:,}", "middle", SOFT)

    for variant in dict.fromkeys(figure.variant for figure in every):
        points = []
        shift = _shift(variant, look)
        for place, cell in enumerate(cells):
            x = horizontal.at(place + shift)
            for figure in cell.figures:
                if figure.variant == variant:
                    points.append((x, vertical.at(figure.interval.mean)))
                    for value in figure.values:
                        picture.dot(
                            (x, vertical.at(value)), 2.0, look.colour(variant), is_faint=True
                        )
        picture.line(points, look.colour(variant), 2.0, look.dash(variant))


def _shift(variant: str, look: _Look) -> float:
    """Return how far the points of a variant are moved aside, so that dots do not hide others."""
    count = len(look.variants)
    return 0.3 * (look.variants.index(variant) - (count - 1) / 2) / count


def _all_values(figures: Sequence[Figure]) -> list[float]:
    """Return every value and the ends of every interval."""
    values: list[float] = []
    for figure in figures:
        values += figure.values
        if figure.interval.count > 1:
            values += [figure.interval.low, figure.interval.high]
    return values


def _dots(picture: Picture, cell: Cell, edges: Point, look: _Look) -> None:
    """Draw a row for each variant, best first."""
    ends = (look.column(DOTS[0]), look.column(DOTS[1]))
    scale = fitted(_all_values(cell.figures), *ends, bounds_of(cell.metric))
    bottom = edges[0] + ROW * len(cell.figures)
    for tick in scale.ticks(TICKS):
        x = scale.at(tick)
        picture.line([(x, edges[0]), (x, bottom)], GRID)
        picture.text((x, bottom + 16), f"{tick:.6g}", "middle", SOFT)
    for figure in cell.figures:
        if figure.difference is None:
            x = scale.at(figure.interval.mean)
            picture.line([(x, edges[0]), (x, bottom)], SOFT, 1.0, "3 3")
    for row, figure in enumerate(cell.figures):
        _row(picture, figure, cell, scale, edges[0] + ROW * (row + 0.5), look)


def _row(picture: Picture, figure: Figure, cell: Cell, scale: Scale, y: float, look: _Look) -> None:
    colour = look.colour(figure.variant)
    name = figure.variant
    short = name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"
    picture.text((look.column(NAMES), y + 4), short, "end")
    swatch = [(look.column(end), y) for end in SWATCH]
    picture.line(swatch, colour, 2.5, look.dash(name))

    interval = figure.interval
    if interval.count > 1:
        picture.line([(scale.at(interval.low), y), (scale.at(interval.high), y)], colour, 1.5)
    for value in figure.values:
        picture.dot((scale.at(value), y), 2.5, colour, is_faint=True)
    picture.dot((scale.at(interval.mean), y), 4.0, colour)
    words = "the reference"
    if figure.difference is not None:
        words = f"{verdict(figure, cell.metric)}, {seeds_text(figure, cell)}"
    picture.text((look.column(WORDS), y + 4), words, colour=SOFT)
