"""Seconds to the first view and to a class, for 1,000 classes and 1.28 million images.

`python -m benchmarks.page [--quick]`

The yardstick is a page without a file of progress, which has to read the footers of all selections.
"""

import argparse
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import numpy as np

from actors.units import progress_of
from benchmarks.harness import finish
from benchmarks.synthetic import synthetic_class
from jobs.dashboard.class_states import selections_on_disk
from jobs.run_directory.bars import SELECTION_BAR
from jobs.run_directory.config import RunConfig
from jobs.run_directory.marker import write_marker
from jobs.run_directory.run import Run
from otcondense.history import Step
from otcondense.store import (
    ClassFeatures,
    ClassSelection,
    SelectionSummary,
    StageProgress,
    UnitProgress,
    write_class_features,
    write_class_selection,
    write_progress,
)

IMAGES = 1280
"""About as many as a class of ImageNet has."""
WIDTH = 2048
BUDGET = 50
METHOD = "geometry_aware"
OPENED = 8
"""Classes that are opened, each once."""


def make_run(root: Path, classes: int) -> Run:
    """Write all selections, the features of the opened classes, and the progress of the stage."""
    selection = {"methods": [METHOD], "budget": BUDGET}
    images = root / "images"
    images.mkdir()
    run = Run(
        RunConfig(
            run=str(root / "run"),
            source={"path": str(images)},
            confidence={"kind": "none"},
            selection=selection,
        )
    )
    write_marker(run)
    units = []
    for number in range(classes):
        made = make_selection(number)
        write_class_selection(run.store, run.selection_directory(METHOD), made, fingerprint="f")
        if number < OPENED:
            write_class_features(
                run.store,
                run.features_directory(run.config.encoder),
                make_features(made),
                fingerprint="f",
            )
        units.append(finished_unit(made))
    now = time.time()
    progress = StageProgress(
        stage=SELECTION_BAR.key,
        title=SELECTION_BAR.title,
        unit=SELECTION_BAR.unit,
        done=classes,
        total=classes,
        started=now,
        updated=now,
        finished=True,
        units=tuple(units),
    )
    write_progress(run.store, progress)
    return run


def finished_unit(selection: ClassSelection) -> UnitProgress:
    """Return the progress of a class that is selected."""
    unit = UnitProgress(
        name=f"{METHOD}, class {selection.class_name}",
        class_name=selection.class_name,
        method=METHOD,
        size=IMAGES,
        state="done",
        seconds=1.0,
    )
    return unit.model_copy(update={**progress_of(selection.summary)})


def make_selection(number: int) -> ClassSelection:
    """Draw a selection of the size of one of ImageNet's, with as long a history."""
    generator = np.random.default_rng(number)
    indices = generator.choice(IMAGES, BUDGET, replace=False)
    assignment = np.where(generator.random(IMAGES) < 0.05, -1, generator.choice(indices, IMAGES))
    objective = 4000 + 500 * generator.random()
    history = [
        Step(
            step=step,
            stage="greedy" if step < BUDGET else "swap",
            added=1,
            removed=2,
            objective=objective + 1000 / (step + 1),
        )
        for step in range(3 * BUDGET)
    ]
    name = f"n{number:08d}"
    return ClassSelection(
        class_name=name,
        class_index=number,
        image_ids=[f"{name}/{name}_{row:05d}.JPEG" for row in range(IMAGES)],
        indices=indices,
        received_mass=np.where(assignment < 0, 0.0, 1 / (assignment >= 0).sum()),
        assignment=assignment,
        cross_entropy=generator.exponential(size=IMAGES).astype(np.float32),
        sha256=[f"{row:064x}" for row in range(IMAGES)],
        rank=np.arange(BUDGET),
        gain=generator.random(BUDGET),
        summary=SelectionSummary(
            objective=objective,
            lower_bound=0.95 * objective,
            swap_optimal=True,
            terms={"transport": objective},
            history=tuple(history),
            diagnostics={"gap": 0.05, "swaps": 2 * BUDGET},
            left_out_share=float((assignment < 0).mean()),
        ),
    )


def make_features(selection: ClassSelection) -> ClassFeatures:
    """Draw the features of a class."""
    data = synthetic_class(IMAGES, WIDTH, seed=selection.class_index)
    pixels = np.zeros(IMAGES, np.int32)
    return ClassFeatures(
        class_name=selection.class_name,
        class_index=selection.class_index,
        image_ids=selection.image_ids,
        features=data.features.astype(np.float32),
        logits=None,
        cross_entropy=None,
        entropy=None,
        max_prob=None,
        width=pixels,
        height=pixels,
        sha256=selection.sha256,
    )


def seconds(work: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@contextmanager
def serving(run: Run) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Serve the page of a run as its verb does, while the block runs; yields port and process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "jobs.dashboard", run.store.root, f"--port={port}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            wait_for(port)
            yield port, server
        finally:
            server.terminate()


def measure(run: Run) -> dict[str, float]:
    """Measure the first answer of each address."""
    with (
        serving(run) as (port, _),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        first = seconds(lambda: open_overview(client))
        opened = [seconds(partial(open_class, client, number)) for number in range(OPENED)]
        drawn = draw_in_browser(f"http://127.0.0.1:{port}/", "body[data-shown]")
    figures = {
        "first_view_seconds": first,
        "class_view_first_seconds": opened[0],
        "class_view_seconds": statistics.median(opened),
    }
    if drawn is not None:
        figures["first_view_in_chromium_seconds"] = drawn
    return figures


def wait_for(port: int) -> None:
    """Wait until the server answers a request that reads no file of the run."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            httpx.get(f"http://127.0.0.1:{port}/static/page.css").raise_for_status()
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the page's server did not start")


def open_overview(client: httpx.Client) -> None:
    """Open the first view with its data."""
    for address in ("/", "/api/run"):
        client.get(address).raise_for_status()


def open_class(client: httpx.Client, number: int) -> None:
    """Open the page of one class."""
    client.get(
        f"/class?{urlencode({'method': METHOD, 'name': f'n{number:08d}'})}"
    ).raise_for_status()


def draw_in_browser(address: str, shown: str) -> float | None:
    """Return the seconds until a browser shows an element; None without a browser."""
    program = shutil.which("chromium")
    if program is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        page.goto("about:blank")
        taken = seconds(lambda: (page.goto(address), page.wait_for_selector(shown)))
        browser.close()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100 classes in place of 1,000")
    classes = 100 if parser.parse_args().quick else 1000
    with tempfile.TemporaryDirectory() as root:
        run = make_run(Path(root), classes)
        figures: dict[str, Any] = {"classes": classes, "images": classes * IMAGES, **measure(run)}
        figures["footers_seconds"] = seconds(lambda: selections_on_disk(run))
    for name, value in figures.items():
        print(f"{name:<32}{value:>12.4g}")
    bounds = {"first_view_seconds": {"at_most": 1.0}, "class_view_seconds": {"at_most": 0.5}}
    raise SystemExit(0 if finish("page", figures, bounds) else 1)


if __name__ == "__main__":
    main()
