"""The page in a real browser."""

import itertools
import json
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from jobs.dashboard.measures import MEASURES
from jobs.run_directory.config import RunConfig
from jobs.run_directory.last_command import LastCommand, write_last_command
from jobs.run_directory.marker import write_marker
from jobs.run_directory.run import Run
from otcondense.store import UnitProgress, read_class_selection, selection_measures
from tests.browser.looks import assert_accessible, assert_no_sideways_scrolling, keep, until
from tests.generators.many_units import many_units, write_many_units
from tests.generators.page_runs import BUDGET, HOSTILE, METHODS, make_run, write_units

TOKEN = "a-token-of-the-test"
CLASSES = ("ant", "bee", "cat", HOSTILE)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("page"), CLASSES)


def tiles(page: Page):
    return page.locator("#tiles > *")


def with_states(
    run: Run, units: list[UnitProgress], tmp_path: Path, *, finished: bool = False
) -> Run:
    """A run with the configuration of `run` and other progress."""
    made = Run(run.config.model_copy(update={"run": str(tmp_path / "run")}))
    made.store.write_bytes("config.yaml", run.store.read_bytes("config.yaml"))
    write_units(made, units, finished=finished)
    return made


def test_classes_of_a_finished_run_can_be_coloured_sorted_and_searched(
    run: Run, serve, open_page
) -> None:
    page = open_page(serve(run))
    expect(tiles(page)).to_have_count(len(CLASSES))
    expect(page.locator("#news")).to_contain_text(f"Selections: {len(CLASSES) * len(METHODS)} done")
    expect(page.locator("#news")).to_contain_text("Finished on")
    expect(page.locator("#answer")).to_contain_text("Not compared with random draws")
    keep(page, "finished")
    page.get_by_label("Colour").select_option("objective")
    colours = {tile.evaluate("each => each.style.background") for tile in tiles(page).all()}
    assert len(colours) == len(CLASSES)
    page.get_by_label("Order").select_option("objective")
    page.get_by_text("table", exact=True).click()
    objectives = [
        float(row.locator("td").nth(1).inner_text()) for row in page.locator("#rows tr").all()
    ]
    assert objectives == sorted(objectives)
    page.get_by_role("button", name="objective").click()
    assert [
        float(row.locator("td").nth(1).inner_text()) for row in page.locator("#rows tr").all()
    ] == sorted(objectives, reverse=True)
    page.get_by_label("Search").fill("BE")
    expect(page.locator("#rows tr")).to_have_count(1)
    expect(page.locator("#rows")).to_contain_text("bee")
    selection = read_class_selection(run.store, run.selection_directory("geometry_aware"), "bee")
    values = selection_measures(selection.summary)
    shown = [MEASURES[name].text(values[name]) for name in ("gap", "left_out_share", "transport")]
    assert set(shown) <= set(page.locator("#rows td").all_inner_texts())


def test_a_class_shows_its_images_its_map_and_a_second_method(run: Run, serve, open_page) -> None:
    page = open_page(serve(run))
    tiles(page).filter(has_text="bee").click()
    expect(page.locator("h1")).to_have_text("bee")
    expect(page.locator(".chosen > li")).to_have_count(BUDGET)
    until(
        page,
        "[...document.querySelectorAll('.chosen figure img')].every(each => each.naturalWidth > 0)",
    )
    expect(page.locator(".plot .main-svg").first).to_be_visible()
    expect(page.locator(".legendtext").nth(1)).to_be_visible()
    page.get_by_text("Images it represents").first.click()
    expect(page.locator(".chosen .thumbs img").first).to_be_visible()
    page.get_by_label("Compare with").select_option("random")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".chosen")).to_have_count(2)
    expect(page.get_by_role("heading", name="random", exact=True)).to_be_visible()
    until(page, "document.querySelectorAll('.plot .main-svg').length >= 3")
    keep(page, "class")


def test_a_thumbnail_is_enlarged_by_keyboard_and_pointer(run: Run, serve, open_page) -> None:
    page = open_page(f"{serve(run)}/class?method=geometry_aware&name=bee")
    first = page.locator("a.enlarge").first
    first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#large")).to_be_visible()
    until(page, "document.getElementById('large-image').naturalWidth > 400")
    before = page.locator("#large-words").inner_text()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#large-words")).not_to_have_text(before)
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(page.locator("#large")).to_be_hidden()
    assert page.evaluate("document.activeElement.className") == "enlarge"
    first.click()
    expect(page.locator("#large-words")).to_have_text(before)
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#large")).to_be_hidden()


def test_classes_lead_to_their_neighbours(run: Run, serve, open_page) -> None:
    page = open_page(f"{serve(run)}/class?method=random&name=bee")
    page.get_by_role("link", name="Next: cat").click()
    expect(page.locator("h1")).to_have_text("cat")
    page.get_by_role("link", name="Previous: bee").click()
    page.get_by_role("link", name="Previous: ant").click()
    expect(page.locator("h1")).to_have_text("ant")


def assert_names_have_room(page: Page) -> None:
    """Assert that names on the map lie inside it and not over each other, on a phone too."""
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        until(page, f"document.getElementById('canvas').clientWidth <= {width}")
        page.wait_for_timeout(100)
        names = json.loads(page.locator("#atlas").get_attribute("data-names"))
        size = page.evaluate("[canvas.clientWidth, canvas.clientHeight]")
        assert names
        for each in names:
            assert 0 <= each["left"] <= size[0] - each["width"]
            assert 0 <= each["top"] <= size[1] - each["height"]
        for one, other in itertools.combinations(names, 2):
            apart = abs(one["top"] - other["top"]) >= one["height"]
            before, after = sorted((one, other), key=lambda each: each["left"])
            assert apart or before["left"] + before["width"] <= after["left"]
    assert_no_sideways_scrolling(page)
    page.set_viewport_size({"width": 1280, "height": 900})


def test_the_map_shows_pictures_and_leads_to_a_class(run: Run, serve, open_page) -> None:
    page = open_page(f"{serve(run)}/map?method=geometry_aware", reduced_motion="reduce")
    expect(page.locator("#news")).to_contain_text(
        f"{len(CLASSES)} classes: {len(CLASSES) * BUDGET}"
    )
    page.locator("#canvas").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#place")).to_contain_text(": chosen image")
    until(page, "document.getElementById('card-image').naturalWidth > 0")
    shown = page.locator("#place").inner_text()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#place")).not_to_have_text(shown)
    box = page.locator("#canvas").bounding_box()
    card = page.locator("#card")
    page.mouse.move(box["x"] + 5, box["y"] + 5)  # inside the rounded corner, near no dot
    expect(card).to_be_hidden()
    keep(page, "map")
    assert_names_have_room(page)
    name = page.locator("#names a").first
    page.get_by_text("The classes as a list").click()
    expect(page.locator("#names a")).to_have_count(len(CLASSES))
    words = name.inner_text()
    name.click()
    expect(page.locator("h1")).to_have_text(words)


def test_the_training_is_followed_without_a_reload(
    run: Run, serve, open_page, tmp_path: Path
) -> None:
    model = {
        "training": {"subsets": ["random"], "num_steps": 20, "checkpoint_steps": [20]},
        "sampling": {},
    }
    values = run.config.model_dump(mode="json") | {"run": str(tmp_path / "run")}
    live = Run(RunConfig.model_validate(values | {"models": {"sit": model}}))
    live.store.write_bytes("config.yaml", run.store.read_bytes("config.yaml"))
    write_units(live, [UnitProgress(name="u", state="running")], finished=False)
    page = open_page(f"{serve(live)}/training")
    expect(page.locator("#loss")).to_contain_text("No training has started")
    steps = f"logs/{live.training_directory('sit', 'random')}/steps.jsonl"
    live.store.append_line(steps, '{"step": 1, "loss": 2.5}')
    expect(page.locator("#loss figcaption")).to_contain_text("random 2.5")
    expect(page.locator(".plot .main-svg").first).to_be_visible()
    live.store.append_line(steps, '{"step": 2, "loss": 1.5}')
    expect(page.locator("#loss figcaption")).to_contain_text("random 1.5")
    assert "random 1.5" in page.locator("[data-plot]").get_attribute("aria-label")


def test_a_phone_shows_the_state_of_every_stage(run: Run, serve, open_page, tmp_path: Path) -> None:
    units = [UnitProgress(name="a", class_name="ant", method="geometry_aware", state="skipped")]
    page = open_page(serve(with_states(run, units, tmp_path, finished=True)))
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator("#stages .state").last).to_have_text("finished")
    for state in page.locator("#stages .state").all():
        box = state.bounding_box()
        assert box["x"] + box["width"] <= 390
    assert_no_sideways_scrolling(page)
    expect(page.locator("#legend")).to_contain_text("done (earlier)")
    expect(page.locator("#stages")).to_contain_text("1 of 1 class")
    keep(page, "phone")


def test_a_hostile_class_name_stays_text(run: Run, serve, open_page) -> None:
    page = open_page(serve(run))
    tiles(page).filter(has_text="script").click()
    expect(page.locator("h1")).to_have_text(HOSTILE)
    until(
        page,
        "[...document.querySelectorAll('.chosen figure img')].every(each => each.naturalWidth > 0)",
    )
    expect(page.locator(".plot .main-svg").first).to_be_visible()
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("document.querySelectorAll('img[src=x]').length") == 0


def test_a_live_run_updates_without_a_reload(run: Run, serve, open_page, tmp_path: Path) -> None:
    names = ["ant", "bee", "cat"]
    units = [
        UnitProgress(
            name=f"geometry_aware, class {n}", class_name=n, method="geometry_aware", state="queued"
        )
        for n in names
    ]
    live = with_states(run, units, tmp_path)
    page = open_page(serve(live))
    expect(page.locator("#news")).to_have_text("Running. Selections: 3 queued.")
    started = {
        "state": "running",
        "started": time.time(),
        "step": "swaps",
        "swaps": 1200,
        "objective": 3.25,
    }
    note = LastCommand(verb="run", started=time.time() - 60, dashboard="127.0.0.1:8265")
    expect(page.locator("#ray")).to_be_hidden()
    write_last_command(live.store, note)
    write_units(live, [units[0].model_copy(update=started), *units[1:]], finished=False)
    expect(page.locator('#tiles [data-state="running"]')).to_have_count(1)
    words = page.locator('#tiles [data-state="running"]').get_attribute("aria-label")
    assert "running, swaps; objective 3.25; swaps 1200" in words
    expect(page.locator("#ray-link")).to_have_attribute("href", "http://127.0.0.1:8265")
    keep(page, "live")
    done = units[0].model_copy(update={"state": "done", "seconds": 3.0})
    write_units(live, [done, *units[1:]], finished=False)
    expect(page.locator('#tiles a[data-state="done"]')).to_have_count(1)
    selection = live.config.selection.model_copy(update={"methods": ("random",)})
    write_marker(Run(live.config.model_copy(update={"selection": selection})))
    expect(page.get_by_label("Method").locator("option")).to_have_count(1)


def test_failures_are_listed_with_their_messages(
    run: Run, serve, open_page, tmp_path: Path
) -> None:
    message = "features must be finite, found <b>NaN</b> in row 3"
    units = [
        UnitProgress(
            name="random, class ant",
            class_name="ant",
            method="random",
            state="failed",
            message=message,
            attempts=3,
        ),
        UnitProgress(
            name="random, class bee", class_name="bee", method="random", state="done", seconds=1.0
        ),
    ]
    page = open_page(serve(with_states(run, units, tmp_path, finished=True)))
    expect(page.locator("#failures li")).to_have_text(f"select, random, class ant: {message}")
    page.get_by_label("Method").select_option("random")
    expect(page.locator('#tiles [data-state="failed"]')).to_have_count(1)
    page.get_by_label("Show").select_option("failed")
    expect(tiles(page)).to_have_count(1)
    keep(page, "failed")


def test_the_keyboard_moves_through_a_thousand_classes(
    run: Run, serve, open_page, tmp_path: Path
) -> None:
    units = [
        UnitProgress(
            name=f"u{n}",
            class_name=f"n{n:08d}",
            method="geometry_aware",
            state="done",
            seconds=1.0,
            measures={"objective": float(n)},
        )
        for n in range(1000)
    ]
    page = open_page(serve(with_states(run, units, tmp_path, finished=True)))
    expect(tiles(page)).to_have_count(1000)
    tiles(page).first.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowUp", "ArrowLeft", "End", "Home"):
        page.keyboard.press(key)
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith(
        "n00000001: done"
    )
    assert page.locator('#tiles [tabindex="0"]').count() == 1
    assert page.locator("#tiles > *").nth(999).inner_text() == "n00000999"
    page.get_by_label("Colour").select_option("objective")
    keep(page, "thousand")
    page.get_by_text("table", exact=True).click()
    expect(page.locator("#rows tr")).to_have_count(1000)


def test_a_wrong_token_shows_nothing_and_a_right_one_leaves_the_address(
    run: Run, serve, open_page
) -> None:
    address = serve(run, TOKEN)
    refused = "Failed to load resource: the server responded with a status of 401 (Unauthorized)"
    page = open_page(f"{address}/?token=wrong", expected=refused)
    expect(page.locator("body")).to_contain_text("needs its token")
    assert "ant" not in page.content()
    page = open_page(f"{address}/?token={TOKEN}")
    expect(tiles(page)).to_have_count(len(CLASSES))
    assert TOKEN not in page.url
    assert TOKEN not in page.evaluate("document.cookie")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "view", ["/", "/class?method=geometry_aware&name=cat&compare=random", "/training", "/map"]
)
def test_every_view_is_accessible(run: Run, serve, open_page, view: str, scheme: str) -> None:
    page = open_page(serve(run) + view, color_scheme=scheme)
    if view == "/":
        expect(tiles(page)).to_have_count(len(CLASSES))
    elif view == "/map":
        expect(page.locator("#news")).to_contain_text(f"{len(CLASSES)} classes")
    elif "class" in view:
        expect(page.locator(".plot .main-svg").first).to_be_visible()
    keep(page, f"{scheme}-{view.strip('/').split('?')[0] or 'overview'}")
    assert_accessible(page)


def test_very_many_classes_are_shown_in_parts(run: Run, serve, open_page, tmp_path: Path) -> None:
    made = with_states(run, [], tmp_path)
    units = many_units(20_000)
    odd = {"class_name": HOSTILE, "name": HOSTILE, "state": "failed", "message": HOSTILE}
    units[7] = units[7].model_copy(update=odd)
    write_many_units(made.store, units, is_finished=False)
    page = open_page(serve(made))
    expect(page.locator("#shown")).to_have_text("1\u2013500 of 20,000 classes")
    expect(tiles(page)).to_have_count(500)
    expect(tiles(page).first).to_have_attribute("data-state", "failed")
    expect(page.locator("#failures")).to_contain_text(HOSTILE)
    expect(page.locator("#answer")).to_be_empty()  # it came later, and nothing is chosen yet
    keep(page, "many")
    assert_accessible(page)
    page.get_by_role("button", name="Next 500").click()
    expect(page.locator("#shown")).to_have_text("501\u20131,000 of 20,000 classes")
    page.get_by_text("table", exact=True).click()
    page.get_by_label("Search").fill("~00001")
    expect(page.locator("#shown")).to_have_text("1\u201310 of 10 found in 20,000 classes")
    expect(page.locator("#rows tr")).to_have_count(10)
    page.get_by_role("button", name="images").click()
    page.get_by_role("button", name="images").click()
    expect(page.locator("#rows th").first).to_have_text("group~000019")
    page.get_by_label("Search").fill("<script>")
    expect(page.locator("#rows th")).to_have_text([HOSTILE])
    assert page.evaluate("window.hacked") is None
    assert_no_sideways_scrolling(page)
