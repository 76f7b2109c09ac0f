"""The figures of the documentation that are computed, from scikit-learn's handwritten digits.

`python -m website.figures` writes `docs/images/class-transport.svg` (a class, its transport, and
what is left out) and `docs/images/gap-by-budget.svg`. The same packages give the same bytes.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from otcondense.report.plots import COLOURS
from otcondense.report.svg import GRID, SOFT, Picture, Scale
from otcondense.selection import GeometryAwareSelector
from otcondense.shares import percent

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
DIGIT = 3
BUDGET = 10
BUDGETS = (2, 5, 10, 20, 40)
GREY_LEVELS = 16
"""Largest value of a pixel of the digits."""
WIDTH = 1000
EDGE = 28
"""Pixels between the edge of a picture and what is in it."""
TOP = 62
ROW = 40
"""Pixels of a row: a chosen image and those that it represents."""
CHOSEN_SIDE, SIDE = 34, 24
"""Pixels of a chosen image, and of another one."""
COUNT = 130.0
"""Right pixel of the number of images that are represented."""
FOLLOWERS = 150.0
"""Left pixel of the images that are represented."""
LEFT_OUT = "#c0392b"
CHART = (70.0, 960.0)
CHART_HEIGHT = 330
MOST_GAP = 0.4
"""Top of the axis of the gap; a larger gap is an error."""


@dataclass(frozen=True)
class Row:
    """A chosen image and those that it represents, nearest first."""

    chosen: int
    followers: list[int]


def main() -> None:
    """Write both figures."""
    pixels, labels = digits()
    (IMAGES / "class-transport.svg").write_bytes(class_figure(pixels[labels == DIGIT]))
    classes = [pixels[labels == digit] for digit in range(10)]
    (IMAGES / "gap-by-budget.svg").write_bytes(gap_figure(classes))


def digits() -> tuple[Float[np.ndarray, "n 64"], np.ndarray]:
    """Return the pixels, 0 to 16, and the labels of all digits."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return data.data, data.target


def class_figure(pixels: Float[np.ndarray, "n 64"]) -> bytes:
    """Draw a row for each chosen image with those that it represents, and one of those left out."""
    selector = GeometryAwareSelector(budget=BUDGET).fit(pixels)
    rows = rows_of(selector, pixels)
    left_out = np.flatnonzero(selector.assignment_ == -1).tolist()

    height = TOP + ROW * (len(rows) + 1) + EDGE
    title = (
        f"{len(pixels)} handwritten threes, ten chosen: whom each represents, and who is left out"
    )
    picture = Picture(WIDTH, height, title)
    picture.text((EDGE, 28.0), title, is_title=True)
    picture.text((EDGE, 50.0), "chosen", colour=SOFT)
    picture.text((FOLLOWERS, 50.0), "represents, besides itself (nearest first)", colour=SOFT)
    for place, row in enumerate(rows):
        _draw_row(picture, row, pixels, place)

    y = TOP + ROW * len(rows)
    picture.line([(EDGE, y + 1), (WIDTH - EDGE, y + 1)], GRID)
    picture.text((EDGE, y + 25.0), "left out", colour=LEFT_OUT)
    picture.text((COUNT, y + 25.0), f"{len(left_out)}", "end", LEFT_OUT)
    _draw_line_of_images(picture, left_out, pixels, y + 8.0, LEFT_OUT)
    return picture.render()


def rows_of(selector: GeometryAwareSelector, pixels: Float[np.ndarray, "n 64"]) -> list[Row]:
    """Return the rows, the image that represents most first."""
    rows = []
    for chosen in selector.indices_.tolist():
        own = np.flatnonzero(selector.assignment_ == chosen)
        distances = np.square(pixels[own] - pixels[chosen]).sum(axis=1)
        followers = [int(each) for each in own[np.argsort(distances)] if each != chosen]
        rows.append(Row(chosen, followers))
    return sorted(rows, key=lambda row: -len(row.followers))


def _draw_row(picture: Picture, row: Row, pixels: Float[np.ndarray, "n 64"], place: int) -> None:
    colour, y = COLOURS[place % len(COLOURS)], float(TOP + ROW * place)
    _draw_image(picture, pixels[row.chosen], (EDGE, y), CHOSEN_SIDE, colour)
    picture.text((COUNT, y + CHOSEN_SIDE / 2 + 4), f"{len(row.followers)}", "end", SOFT)
    _draw_line_of_images(picture, row.followers, pixels, y + 5, colour)


def _draw_line_of_images(
    picture: Picture, rows: Sequence[int], pixels: Float[np.ndarray, "n 64"], y: float, colour: str
) -> None:
    for place, row in enumerate(rows):
        _draw_image(picture, pixels[row], (FOLLOWERS + (SIDE + 3) * place, y), SIDE, colour)


def _draw_image(
    picture: Picture,
    pixels: Float[np.ndarray, " 64"],
    corner: tuple[float, float],
    side: int,
    colour: str,
) -> None:
    """Draw a digit, dark on white, in a frame."""
    levels = 255 - np.rint(pixels.reshape(8, 8) * (255 / GREY_LEVELS)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode("ascii")
    place = f'x="{corner[0]:g}" y="{corner[1]:g}" width="{side}" height="{side}"'
    picture.parts.append(
        f'<image {place} style="image-rendering: pixelated" href="data:image/png;base64,{data}"/>'
        f'<rect {place} fill="none" stroke="{colour}"/>'
    )


def gap_figure(classes: Sequence[Float[np.ndarray, "n 64"]]) -> bytes:
    """Draw the gap by budget: a thin line for each class, and a thick one for their mean."""
    gaps = np.array([[gap_of(pixels, budget) for budget in BUDGETS] for pixels in classes])
    assert gaps.max() < MOST_GAP

    title = (
        "How far the objective can be from the best, by budget (digits, 174 to 183 of each class)"
    )
    picture = Picture(WIDTH, CHART_HEIGHT + 110, title)
    picture.text((EDGE, 28.0), title, is_title=True)
    vertical = Scale(0.0, MOST_GAP, CHART_HEIGHT + 60.0, 60.0)
    horizontal = Scale(0.0, len(BUDGETS) - 1.0, CHART[0] + 20, CHART[1] - 60)
    for tick in vertical.ticks(4):
        y = vertical.at(tick)
        picture.line([(CHART[0], y), (CHART[1], y)], GRID)
        picture.text((CHART[0] - 8, y + 4), percent(tick, 0), "end", SOFT)
    for place, budget in enumerate(BUDGETS):
        x = horizontal.at(place)
        picture.text((x, CHART_HEIGHT + 80.0), f"{budget}", "middle", SOFT)
    middle = (CHART[0] + CHART[1]) / 2
    picture.text(
        (middle, CHART_HEIGHT + 100.0),
        "images chosen of each class; thin: a class, thick: their mean",
        "middle",
        SOFT,
    )

    for values in gaps:
        picture.line(_points(values, horizontal, vertical), "#b9c4d6", 1.2)
    mean = gaps.mean(axis=0)
    picture.line(_points(mean, horizontal, vertical), COLOURS[0], 2.6)
    for place, value in enumerate(mean):
        at = (horizontal.at(place), vertical.at(value))
        picture.dot(at, 4.0, COLOURS[0])
        picture.text((at[0] + 8, at[1] - 10), percent(value), colour=COLOURS[0])
    return picture.render()


def gap_of(pixels: Float[np.ndarray, "n 64"], budget: int) -> float:
    """Return how far, at most, the objective is from the best, as a share of it."""
    selector = GeometryAwareSelector(budget=budget).fit(pixels)
    return 1.0 - selector.lower_bound_ / selector.objective_


def _points(
    values: Sequence[float], horizontal: Scale, vertical: Scale
) -> list[tuple[float, float]]:
    return [(horizontal.at(place), vertical.at(value)) for place, value in enumerate(values)]


if __name__ == "__main__":
    main()
