"""What tests of pages ask a browser for. Screenshots go to OTCONDENSE_SCREENSHOTS if it is set."""

import os
import time
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

PATIENCE = 60_000
"""Milliseconds; machines of tests are busy."""
expect.set_options(timeout=PATIENCE)


def keep(page: Page, name: str) -> None:
    """Keep a screenshot if a directory is set for it."""
    if os.environ.get("OTCONDENSE_SCREENSHOTS"):
        page.screenshot(
            path=str(Path(os.environ["OTCONDENSE_SCREENSHOTS"]) / f"{name}.png"), full_page=True
        )


def until(page: Page, condition: str) -> None:
    """Wait for a condition; the page's own policy keeps Playwright from waiting inside it."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(50)


def assert_accessible(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    assert not found, [(each["id"], each["nodes"][0]["html"]) for each in found]


def assert_no_sideways_scrolling(page: Page) -> None:
    """Wait until the page itself is no wider than the window; plots follow it after a moment."""
    until(page, f"document.documentElement.scrollWidth <= {page.viewport_size['width']}")
