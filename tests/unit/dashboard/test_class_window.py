"""A part of very many classes: filter, order, bounds, and what a viewer may ask for."""

import time

import pytest

from jobs.dashboard.class_states import class_states, selections_on_disk
from jobs.dashboard.class_window import Wanted, class_window
from jobs.dashboard.measures import MEASURES, STATES
from jobs.dashboard.overview import MOST_FAILURES, overview
from jobs.run_directory.run import Run
from otcondense.store import UnitProgress
from tests.generators.many_units import METHOD, many_units, write_many_units
from tests.unit.dashboard.pages import client

COUNT = 4200
"""More than the page sends at once for a run of two methods."""
WINDOW = 500
NOW = 1e9


def units_of(states: list[str]) -> list[UnitProgress]:
    units = []
    for number, state in enumerate(states):
        measures = {"gap": 0.1 * number} if state == "done" else {}
        units.append(
            UnitProgress(
                name=f"u{number}",
                class_name=f"Class{number}",
                method=METHOD,
                state=state,
                started=NOW - 1,
                seconds=1.0,
                measures=measures,
            )
        )
    return units


@pytest.fixture
def large(changed: Run) -> Run:
    write_many_units(changed.store, many_units(COUNT), is_finished=False)
    return changed


def names(run: Run, units: list[UnitProgress], **wanted: object) -> list[str]:
    window = class_window(run, units, Wanted(method=METHOD, **wanted), NOW)
    return [each.class_name for each in window.classes]


def test_failed_classes_come_first(run: Run) -> None:
    units = units_of(["done", "queued", "failed", "running", "done"])
    found = names(run, units)
    assert found == ["Class2", "Class3", "Class1", "Class0", "Class4"]


@pytest.mark.parametrize("down", [False, True])
def test_classes_without_a_value_come_last_in_both_directions(run: Run, *, down: bool) -> None:
    units = units_of(["queued", "done", "done"])
    found = names(run, units, order="gap", down=down)
    assert found == (["Class2", "Class1"] if down else ["Class1", "Class2"]) + ["Class0"]


def test_a_filter_keeps_state_and_part_of_the_name(run: Run) -> None:
    units = units_of(["done"] * 12 + ["failed"])
    assert names(run, units, search=" cLASS1 ", state="done", order="class_name") == [
        "Class1",
        "Class10",
        "Class11",
    ]
    window = class_window(run, units, Wanted(method=METHOD, search="nothing"), NOW)
    assert (window.total, window.matching, window.classes) == (13, 0, ())


@pytest.mark.parametrize("order", ["class_name", "state", *MEASURES])
def test_all_windows_together_have_each_class_once(run: Run, order: str) -> None:
    units = units_of(["done", "failed", "queued"] * 400)
    found = []
    for start in (0, WINDOW, 2 * WINDOW):
        part = names(run, units, order=order, start=start)
        assert len(part) <= WINDOW
        found += part
    assert sorted(found) == sorted(unit.class_name for unit in units)


def test_a_start_beyond_the_end_gives_the_last_part(run: Run) -> None:
    window = class_window(run, units_of(["done"] * 501), Wanted(method=METHOD, start=10**8), NOW)
    assert (window.start, len(window.classes)) == (500, 1)


def test_a_window_shows_a_class_as_the_whole_list_does(run: Run) -> None:
    units = many_units(100)
    now = time.time()
    window = class_window(run, units, Wanted(method=METHOD, order="class_name"), now)
    assert window.classes == class_states(units, now)


def test_the_overview_of_many_classes_is_small_and_counts_all(large: Run) -> None:
    view = overview(large)
    assert view.has_windows
    assert view.classes == ()
    assert sum(view.counts.values()) == COUNT
    with client(large) as page:
        assert len(page.get("/api/run").content) < 10_000
        assert 'id="parts"' in page.get("/").text
        window = page.get("/api/classes", params={"method": METHOD, "state": "running"}).json()
    assert (window["total"], window["matching"]) == (COUNT, view.counts["running"])


def test_the_first_view_of_many_classes_opens_no_selection(
    large: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client(large) as page:
        with monkeypatch.context() as patched:
            patched.setattr("jobs.dashboard.routes.read_answer", pytest.fail)
            first = page.get("/").text
        answer = page.get("/answer").text
    assert "data-answered" not in first
    assert "The answer is being read." in first
    assert "of 18 images" in answer or "images in" in answer
    with client(Run(large.config)) as page:
        assert page.get("/answer").text == answer


def test_the_overview_lists_some_of_many_failures(changed: Run) -> None:
    units = [each.model_copy(update={"state": "failed"}) for each in many_units(3 * MOST_FAILURES)]
    write_many_units(changed.store, units, is_finished=True)
    view = overview(changed)
    assert (len(view.failures), view.num_failures) == (MOST_FAILURES, len(units))


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ({"method": "nothing"}, "method must be one of"),
        ({"state": "good"}, "state must be one of"),
        ({"order": "<b>"}, "order must be one of"),
    ],
)
def test_an_unknown_word_is_a_sentence(large: Run, wrong: dict[str, str], found: str) -> None:
    with client(large) as page:
        answer = page.get("/api/classes", params={"method": METHOD, **wrong})
    assert answer.status_code >= 400
    assert found in answer.text
    assert answer.headers["content-type"].startswith("text/plain")  # no markup


def test_selections_without_progress_are_windowed_too(
    changed: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = class_states(selections_on_disk(changed), NOW)
    monkeypatch.setattr("jobs.dashboard.class_states.MOST_READ", 0)
    units = selections_on_disk(changed)
    assert all(not unit.measures for unit in units)
    found = []
    for method in changed.config.selection.subsets:
        window = class_window(changed, units, Wanted(method=method, order="class_name"), NOW)
        found += window.classes
    assert tuple(found) == shown
    assert {each.state for each in found} <= set(STATES)
