"""The page during a real selection, from the first class to the last, and after its end."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from jobs.run_directory.opening import read_run
from tests.commands import Command
from tests.ray.selection_runs import CLASSES, extracted

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.full, pytest.mark.timeout(2400)]


def test_classes_turn_from_queued_to_done_while_one_looks(tmp_path: Path, serve, open_page) -> None:
    config = extracted(tmp_path) / "config.yaml"
    page = open_page(serve(read_run(str(tmp_path / "run"))))
    expect(page.locator("#stages")).to_contain_text("select")
    running = page.locator('#tiles [data-state="running"]')
    done = page.locator('#tiles [data-state="done"]')
    with Command("select_subset", ["--config", str(config)]) as command:
        page.reload()
        expect(running.first).to_be_visible(timeout=600_000)
        label = running.first.get_attribute("aria-label")
        assert "starting" in label or "objective" in label
        expect(done.first).to_be_visible(timeout=600_000)
        ended = command.end()
    assert ended.code == 0, ended.output
    expect(done).to_have_count(CLASSES, timeout=600_000)
    expect(page.locator("#news")).to_contain_text("Finished on")
    done.first.click()
    expect(page.locator(".chosen > li").first).to_be_visible()
