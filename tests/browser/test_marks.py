"""Images are marked in a real browser, written into the run, and selected again."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from jobs.command.choice import chosen_config
from jobs.command.verbs import VERBS
from jobs.run_directory.marker import write_marker
from jobs.run_directory.run import Run
from tests.browser.looks import assert_accessible, assert_no_sideways_scrolling, keep, until
from tests.generators.page_runs import BUDGET, HOSTILE, make_run, write_selections


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("marks"), ("ant", HOSTILE))


@pytest.fixture
def run(made: Run, tmp_path: Path) -> Run:
    shutil.copytree(made.store.root, tmp_path / "run")
    return Run(made.config.model_copy(update={"run": str(tmp_path / "run")}))


def write_selections_as(run: Run, other: Run) -> None:
    """Give a run whose lists cannot be read the selections of another configuration."""
    for method in run.config.selection.methods:
        source = Path(run.store.path(run.selection_directory(method)))
        shutil.copytree(source, Path(run.store.path(other.selection_directory(method))))


def chosen(page: Page) -> list[str]:
    return [each.get_attribute("data-figure") for each in page.locator("[data-figure]").all()]


@pytest.mark.slow
def test_rejected_images_are_gone_and_kept_ones_stay_after_the_next_selection(
    run: Run, serve, open_page
) -> None:
    page = open_page(f"{serve(run, writes=True)}/class?method=geometry_aware&name=ant")
    first, second, *_ = before = chosen(page)
    expect(page.locator("#tray")).to_be_hidden()
    page.get_by_role("button", name=f"Keep {second}").click()
    page.locator("a.enlarge").first.focus()
    page.keyboard.press("r")
    expect(page.locator("#tray-count")).to_have_text("1 kept, 1 rejected.")
    page.get_by_role("link", name="Previous").click()
    expect(page.locator("#tray-count")).to_have_text("1 kept, 1 rejected.")
    page.get_by_role("link", name="Next: ant").click()
    rejected = page.get_by_role("button", name=f"Reject {first}")
    expect(rejected).to_have_attribute("aria-pressed", "true")
    page.get_by_text("Which ones").click()
    assert_accessible(page)
    keep(page, "marks")
    page.get_by_role("button", name="Write file of marks").click()
    expect(page.locator("#tray-news")).to_contain_text("Written: ")
    (name,) = run.store.list("marks")
    assert run.store.read_json(name) == {"include": [second], "exclude": [first]}
    keep(page, "marks-written")
    page.set_viewport_size({"width": 390, "height": 844})
    assert_no_sideways_scrolling(page)

    _, verb, *words = shlex.split(page.locator("#tray-command").inner_text())
    again = Run(chosen_config(VERBS[verb], None, None, words))
    write_selections(again)
    write_marker(again)
    expect(rejected).to_have_count(0)
    after = chosen(page)
    assert first not in after
    assert after[0] == second
    assert len(after) == len(before) == BUDGET
    expect(page.locator("#tray-count")).to_contain_text("the selection that is shown knows them")


def test_a_page_that_only_reads_gives_the_marks_as_a_download(
    run: Run, serve, open_page, tmp_path: Path
) -> None:
    page = open_page(f"{serve(run)}/class?method=random&name=ant")
    page.locator("a.enlarge").first.click()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("k")
    image = page.locator("#large").get_attribute("data-image")
    keeps = page.locator("#large [data-mark=include]")
    expect(keeps).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Write file of marks")).to_be_hidden()
    with page.expect_download() as event:
        page.get_by_role("button", name="Download them").click()
    event.value.save_as(tmp_path / "marks.json")
    assert json.loads((tmp_path / "marks.json").read_text()) == {"include": [image], "exclude": []}
    expect(page.locator("#tray-command")).to_contain_text("selection.include=marks.json#include")
    page.get_by_role("button", name="Undo changes").click()
    expect(page.locator("#tray")).to_be_hidden()
    page.locator("[data-mark=exclude]").first.click()
    page.get_by_text("Which ones").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("#tray")).to_be_hidden()
    assert run.store.list("marks") == []


@pytest.mark.slow
def test_images_that_cannot_be_listed_are_said(run: Run, serve, open_page) -> None:
    selection = run.config.selection.model_copy(update={"exclude": ("ant/99.png",)})
    lost = Run(run.config.model_copy(update={"selection": selection}))
    write_selections_as(run, lost)
    page = open_page(f"{serve(lost, writes=True)}/class?method=random&name=ant")
    expect(page.locator("#tray-count")).to_contain_text("must name images of")
    expect(page.locator("#tray button")).to_have_count(0)


@pytest.mark.slow
def test_names_from_outside_are_marked_as_text(run: Run, serve, open_page) -> None:
    page = open_page(serve(run, writes=True))
    page.locator("#tiles > *").first.click()
    expect(page.locator("h1")).to_have_text(HOSTILE)
    page.locator("[data-mark=exclude]").first.click()
    page.get_by_text("Which ones").click()
    expect(page.locator("#tray-list")).to_contain_text("<script>window.hacked=1")
    page.get_by_role("button", name="Write file of marks").click()
    expect(page.locator("#tray-news")).to_contain_text("Written: ")
    (name,) = run.store.list("marks")
    assert run.store.read_json(name)["exclude"] == [chosen(page)[0]]
    until(page, "window.hacked === undefined")
