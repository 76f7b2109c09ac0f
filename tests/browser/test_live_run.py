"""The page during a real selection, from the first class to the last, and after it."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from jobs.run_directory.opening import read_run
from tests.ray.selection_runs import CLASSES, extracted, finish, start

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.slow, pytest.mark.timeout(2400)]


def test_classes_turn_from_queued_to_done_on_an_open_page(tmp_path: Path, serve, open_page) -> None:
    config = extracted(tmp_path) / "config.yaml"
    page = open_page(serve(read_run(str(tmp_path / "run"))))
    expect(page.locator("#stages")).to_contain_text("select")
    process = start("select_subset", config)
    page.reload()
    running = page.locator('#tiles [data-state="running"]')
    done = page.locator('#tiles [data-state="done"]')
    expect(running.first).to_be_visible(timeout=600_000)
    label = running.first.get_attribute("aria-label")
    assert "starting" in label or "objective" in label
    expect(done.first).to_be_visible(timeout=600_000)
    finish(process)
    expect(done).to_have_count(CLASSES, timeout=600_000)
    expect(page.locator("#news")).to_contain_text("Not running")
    done.first.click()
    expect(page.locator(".chosen > li").first).to_contain_text("represents")
