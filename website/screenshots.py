"""The pictures of the page and of the comparison in the README, of the runs of `make demo`.

`python -m website.screenshots` needs Chromium and writes `docs/images/page.png` and `report.png`.
"""

import io
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from otcondense.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
RUN = ROOT / "runs" / "demo"
COMPARISONS = RUN / "sweeps"
CLASS = "/class?name=3&method=geometry_aware&compare=random"
VIEW = (740, 800)
"""Pixels of each of the two views of the page, which the README shows side by side."""
WIDE = (1185, 740)
"""Pixels of the view of the comparison."""
EDGE = 12
"""Pixels between two views."""
GREY = (200, 207, 218)
COLOURS = 128
"""Of a picture: pages have few, and fewer bytes are read sooner."""
SHORTEN = """root => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    texts.currentNode.nodeValue = texts.currentNode.nodeValue.replaceAll(root, "");
  }
}"""
"""Makes paths on this machine relative: they say nothing to others."""
SETTLED_MS = 2500
"""Until plots are drawn and fonts are there."""
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    """Write both pictures.

    Raises: InputError without Chromium or without the runs of `make demo`.
    """
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        raise InputError(f"one of {', '.join(CHROMIUM)} must be installed")
    comparisons = sorted(COMPARISONS.glob("demo-*/report.html"), key=_time)
    if not comparisons:
        raise InputError(f"{COMPARISONS} must hold a comparison with its page: make demo")
    with _served() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        views = [_shot(browser, address + path, VIEW) for path in ("/", CLASS)]
        _write(_side_by_side(views), "page.png")
        _write(_shot(browser, comparisons[-1].as_uri(), WIDE), "report.png")
        browser.close()


@contextmanager
def _served() -> Iterator[str]:
    """Serve the page of the demo; yield its address."""
    command = [sys.executable, "-m", "jobs.dashboard", str(RUN), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found is not None
        yield found.group()
        server.terminate()


def _shot(browser: Browser, address: str, size: tuple[int, int]) -> Image.Image:
    """Return what a window of a size shows of an address."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.goto(address)
    page.wait_for_timeout(SETTLED_MS)
    page.evaluate(SHORTEN, f"{ROOT}/")
    shown = Image.open(io.BytesIO(page.screenshot()))
    page.close()
    return shown.convert("RGB")


def _side_by_side(views: list[Image.Image]) -> Image.Image:
    """Return two views of the same size in one picture."""
    width, height = views[0].size
    whole = Image.new("RGB", (2 * width + EDGE, height), GREY)
    for number, view in enumerate(views):
        whole.paste(view, (number * (width + EDGE), 0))
    return whole


def _time(path: Path) -> int:
    return path.stat().st_mtime_ns


def _write(picture: Image.Image, name: str) -> None:
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(IMAGES / name, optimize=True)
    print(IMAGES / name)


if __name__ == "__main__":
    main()
