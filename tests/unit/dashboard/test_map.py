"""The map of all classes."""

import numpy as np
import pytest

from jobs.dashboard.atlas import shown_rows
from jobs.dashboard.class_view import read_selection
from jobs.run_directory.run import Run
from tests.generators.page_runs import HOSTILE, IMAGES
from tests.unit.dashboard.pages import client


def test_the_map_has_points_of_every_class(run: Run) -> None:
    with client(run) as page:
        assert page.get("/map").status_code == 200
        found = page.get("/api/map", params={"method": "geometry_aware"}).json()
    assert {each["name"] for each in found["classes"]} == {"ant", "bee", HOSTILE}
    for each in found["classes"]:
        selection = read_selection(run, "geometry_aware", each["name"])
        assert each["rows"][: each["num_chosen"]] == selection.indices.tolist()
        assert sorted(each["rows"]) == list(range(IMAGES))
        assert len(each["x"]) == len(each["y"]) == IMAGES
    assert 0 < sum(found["shares"]) <= 1


def test_a_map_without_features_says_so(changed: Run) -> None:
    changed.store.remove("features")
    with client(changed) as page:
        answer = page.get("/api/map", params={"method": "random"})
        assert (answer.status_code, "has features" in answer.text) == (404, True)
        assert page.get("/map", params={"method": "other"}).status_code == 200


@pytest.mark.parametrize(
    ("chosen", "size", "most", "expected_chosen", "expected"),
    [
        ([5, 1], 6, 10, [5, 1], 6),
        ([5, 1, 3, 0], 40, 4, [5, 1], 4),
        ([5], 40, 9, [5], 9),
        (list(range(30)), 32, 10, list(range(8)), 10),
        ([2, 0], 40, 1, [2], 1),
        ([], 3, 2, [], 2),
    ],
)
def test_the_map_shows_chosen_and_other_images_of_a_class(
    chosen: list[int], size: int, most: int, expected_chosen: list[int], expected: int
) -> None:
    rows = shown_rows(np.array(chosen, dtype=np.int64), size, most).tolist()
    assert len(rows) == len(set(rows)) == expected
    assert [row for row in rows if row in chosen] == expected_chosen
    assert rows[: len(expected_chosen)] == expected_chosen
