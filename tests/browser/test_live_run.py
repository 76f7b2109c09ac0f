"""The page beside a real selection, from the first class to the last, and after Ray is gone."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from jobs.run_directory.opening import read_run
from tests.ray.selection_runs import CLASSES, extracted, finish, start

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.slow, pytest.mark.timeout(2400)]


def test_classes_turn_from_queued_to_done_while_one_looks(tmp_path: Path, serve, open_page) -> None:
    config = extracted(tmp_path) / "config.yaml"
    page = open_page(serve(read_run(str(tmp_path / "run"))))
    expect(page.locator("#stages")).to_contain_text("select")
    process = start("select_subset", config)
    page.reload()
    running, done = (
        page.locator(f'#tiles [data-state="{state}"]') for state in ("running", "done")
    )
    expect(running.first).to_be_visible(timeout=600_000)
    assert "starting" in running.first.get_attribute(
        "aria-label"
    ) or "objective" in running.first.get_attribute("aria-label")
    expect(done.first).to_be_visible(timeout=600_000)
    finish(process)
    expect(done).to_have_count(CLASSES, timeout=600_000)
    expect(page.locator("#news")).to_contain_text("Not running")
    done.first.click()
    expect(page.locator(".chosen > li").first).to_contain_text("stands for")
