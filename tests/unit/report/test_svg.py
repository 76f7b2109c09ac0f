"""Plain SVG pictures: round ticks, escaped text, fixed bytes."""

from xml.etree import ElementTree as ET

import pytest

from otcondense.report.svg import Picture, Scale, fitted

HOSTILE = '"><script>alert(1)</script>'


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 10.0, [0, 2, 4, 6, 8, 10]),
        (-0.03, 0.11, [0, 0.05, 0.1]),
        (583.0, 646.0, [600, 620, 640]),
        (1.0, 1.00045, [1.0, 1.0001, 1.0002, 1.0003, 1.0004]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert Scale(low, high, 0.0, 100.0).ticks(5) == pytest.approx(expected)


@pytest.mark.parametrize("values", [[1.0, 3.0], [2.0, 2.0], [0.0], [-5.0]])
def test_a_fitted_scale_shows_all_values_with_room(values: list[float]) -> None:
    scale = fitted(values, 10.0, 110.0)
    assert all(10.0 < scale.at(value) < 110.0 for value in values)
    assert scale.ticks(5)


def test_the_vertical_axis_points_up() -> None:
    scale = fitted([1.0, 3.0], 100.0, 0.0)
    assert scale.at(3.0) < scale.at(1.0)


def drawn() -> bytes:
    picture = Picture(100, 50, HOSTILE)
    picture.text((1.0, 2.0), HOSTILE)
    picture.line([(0.0, 0.0), (1 / 3, -0.001)], "#000000", 2.0, "3 3")
    picture.dot((5.0, 5.0), 2.5, "#ffffff", is_faint=True)
    return picture.render()


def test_pictures_are_escaped_and_the_same_twice() -> None:
    assert drawn() == drawn()
    root = ET.fromstring(drawn())
    assert [each.tag.split("}")[1] for each in root] == [
        "title",
        "rect",
        "text",
        "polyline",
        "circle",
    ]
    assert root[0].text == root[2].text == HOSTILE
    assert root[3].attrib["points"] == "0,0 0.3,0"
