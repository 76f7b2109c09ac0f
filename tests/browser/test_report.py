"""The report as the page serves it: its plots work, and it can reach nothing."""

from pathlib import Path

import pytest
from playwright.sync_api import Error, expect

from jobs.run_directory.run import REPORT, Run
from otcondense.report import render_report
from tests.browser.looks import assert_accessible, assert_no_sideways_scrolling, keep
from tests.generators.page_runs import make_run
from tests.unit.report.test_render import example


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    made = make_run(tmp_path_factory.mktemp("reported"))
    made.store.write_bytes(REPORT, render_report(example()).encode())
    return made


def test_the_plots_of_the_report_are_drawn(run: Run, serve, open_page) -> None:
    page = open_page(f"{serve(run)}/report")
    expect(page.locator(".main-svg").first).to_be_visible()
    assert page.evaluate("window.origin") == "null"
    page.set_viewport_size({"width": 390, "height": 844})
    keep(page, "report-phone")
    assert_no_sideways_scrolling(page)
    assert_accessible(page)


SCRIPT = b"<script>document.title = 'ran'</script><a href='/'>back</a>"


def test_a_report_of_somebody_else_cannot_read_the_page(
    run: Run, serve, open_page, tmp_path: Path
) -> None:
    made = Run(run.config.model_copy(update={"run": str(tmp_path / "run")}))
    made.store.write_bytes("config.yaml", run.store.read_bytes("config.yaml"))
    made.store.write_bytes(REPORT, SCRIPT)
    address = serve(made)
    page = open_page(f"{address}/report")
    assert page.title() == "ran"
    for attack in ("document.cookie", "localStorage.length", "parent.document.cookie"):
        with pytest.raises(Error, match=r"sandboxed|denied"):
            page.evaluate(attack)
