"""Load: 10,000 small classes through the pool, 200 viewers of a page, a report of 1,000 classes.

`python -m benchmarks.load [--quick]`

Yardsticks: the same selections one after another in one process, without pool, actors and files;
one viewer alone. `benchmarks.large_class` measures one class of 20,000 images, and
`benchmarks.scheduling` 1,000 classes of up to 1,300.
"""

import argparse
import asyncio
import io
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import yaml
from PIL import Image

from actors.class_selection import run_selector
from benchmarks.harness import finish
from benchmarks.page import METHOD, draw_in_browser, make_run, make_selection, serving
from jobs.run_directory.config import RunConfig
from jobs.run_directory.run import Run
from jobs.thumbnails.stored import kept_rows
from otcondense.store import (
    manifest_table,
    read_class_features,
    read_class_selection,
    sha256_bytes,
    write_table,
)

IMAGES = 50
"""Images in each small class."""
WIDTH = 32
BUDGET = 10
BELOW = 0.1
"""Share of the classes with fewer images than the budget."""
CLASSES = 10_000
REPORT_CLASSES = 1000
QUICK_PART = 20
"""`--quick` takes this part of everything."""
SAMPLE = 50
"""Classes that the yardstick selects."""
VIEWERS = 200
VIEW_SECONDS = 20.0
POLL_SECONDS = 2.0
"""Seconds between two requests of a page."""
MEMORY_POLL_SECONDS = 0.25
IMAGE_SIZE = 256


class Peak:
    """The peak memory of a process in GB while the block runs."""

    def __init__(self, process: int) -> None:
        self.gigabytes = 0.0
        self._process = psutil.Process(process)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(MEMORY_POLL_SECONDS):
            try:
                self.gigabytes = max(self.gigabytes, self._process.memory_info().rss / 1e9)
            except psutil.NoSuchProcess:
                return


def small_classes(root: Path, classes: int) -> dict[str, float]:
    """Select from very many small classes through the command line."""
    write_features(root / "given", classes)
    values = small_config(root)
    (root / "small.yaml").write_text(yaml.safe_dump(values))
    config = f"--config={root / 'small.yaml'}"

    imported, _ = command("extract_features", config)
    selected, peak = command("select_subset", config)
    again, _ = command("select_subset", config)
    checked, _ = command("verify", str(root / "small"))
    alone = one_after_another(Run(RunConfig(**values)), classes)
    return {
        "small_classes": classes,
        "small_import_seconds": imported,
        "small_select_seconds": selected,
        "small_select_again_seconds": again,
        "small_verify_seconds": checked,
        "small_driver_peak_gb": peak,
        "small_milliseconds_a_class": 1000 * selected / classes,
        "small_selection_alone_milliseconds_a_class": 1000 * alone,
    }


def write_features(directory: Path, classes: int) -> None:
    """Write random features of small classes."""
    generator = np.random.default_rng(0)
    is_below = generator.random(classes) < BELOW
    sizes = np.where(is_below, generator.integers(1, BUDGET, classes), IMAGES)
    features = generator.normal(size=(sizes.sum(), WIDTH)).astype(np.float32)
    directory.mkdir()
    np.save(directory / "features.npy", features)
    np.save(directory / "labels.npy", np.repeat(np.arange(classes), sizes))


def small_config(root: Path) -> dict[str, Any]:
    """Return the configuration of a run on the small classes.

    It has no rebuilds and bounds: they take a second a class, and would hide the cost of the pool.
    """
    selection = {
        "budget": BUDGET,
        "small_class": "take_all",
        "methods": [METHOD],
        "settings": {METHOD: {"rebuilds": 0, "lower_bound": None}},
    }
    return {
        "run": str(root / "small"),
        "source": {"kind": "features", "path": str(root / "given")},
        "confidence": {"kind": "none"},
        "selection": selection,
    }


def command(verb: str, *arguments: str) -> tuple[float, float]:
    """Run a verb; return its seconds and the peak memory of its process in GB."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", f"jobs.{verb}", *arguments], stdout=subprocess.DEVNULL
    )
    with Peak(process.pid) as peak:
        if process.wait() != 0:
            raise RuntimeError(f"jobs.{verb} ended with {process.returncode}")
    return time.perf_counter() - started, peak.gigabytes


def one_after_another(run: Run, classes: int) -> float:
    """Return the seconds for a class in this process; the selections must equal the stored ones."""
    names = [str(number) for number in range(0, classes, max(1, classes // SAMPLE))]
    directory = run.features_directory(run.config.encoder)
    settings = run.config.selection.selector_settings(METHOD, BUDGET)
    features = [read_class_features(run.store, directory, name) for name in names]
    started = time.perf_counter()
    chosen = [
        run_selector(METHOD, settings | {"budget": min(BUDGET, each.size)}, each).indices
        for each in features
    ]
    taken = (time.perf_counter() - started) / len(names)
    stored = [
        read_class_selection(run.store, run.selection_directory(METHOD), name).indices
        for name in names
    ]
    for here, there in zip(chosen, stored, strict=True):
        assert np.array_equal(here, there), "the pool chose other images"
    return taken


def viewers(run: Run, count: int) -> dict[str, float]:
    """Simulate very many browsers at once: the first view, then repeated requests of the state."""
    with serving(run) as (port, server), Peak(server.pid) as peak:
        alone = asyncio.run(look(port, 1))
        together = asyncio.run(look(port, count))
    return {
        "viewers": count,
        "viewers_answers": len(together),
        "viewers_median_seconds": statistics.median(together),
        "viewers_p99_seconds": statistics.quantiles(together, n=100)[98],
        "viewer_alone_median_seconds": statistics.median(alone),
        "viewers_server_peak_gb": peak.gigabytes,
    }


async def look(port: int, count: int) -> list[float]:
    """Return the seconds of each answer to `count` viewers; a refusal is an error."""
    limits = httpx.Limits(max_connections=count, max_keepalive_connections=count)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", limits=limits, timeout=120
    ) as client:
        end = time.perf_counter() + VIEW_SECONDS
        lists = await asyncio.gather(
            *(one_viewer(client, end, number / count) for number in range(count))
        )
    return [taken for each in lists for taken in each]


async def one_viewer(client: httpx.AsyncClient, end: float, offset: float) -> list[float]:
    """Open the page, then request its state again and again."""
    times: list[float] = []
    tag = ""
    await asyncio.sleep(POLL_SECONDS * offset)
    for address in ("/", "/api/run"):
        started = time.perf_counter()
        answer = (await client.get(address)).raise_for_status()
        times.append(time.perf_counter() - started)
        tag = answer.headers.get("etag", tag)
    while time.perf_counter() < end:
        await asyncio.sleep(POLL_SECONDS)
        started = time.perf_counter()
        answer = await client.get("/api/run", headers={"If-None-Match": tag})
        assert answer.status_code in (200, 304), answer.status_code
        times.append(time.perf_counter() - started)
        tag = answer.headers.get("etag", tag)
    return times


def large_report(run: Run, classes: int) -> dict[str, float]:
    """Write the report of a run with very many classes, and open it in a browser."""
    write_subset(run, classes)
    config = Path(run.store.path("benchmark.yaml"))
    config.write_text(yaml.safe_dump(run.config.model_dump(mode="json", exclude_unset=True)))
    written, peak = command("report", f"--config={config}")
    path = Path(run.store.path("report.html"))
    opened = draw_in_browser(path.as_uri(), "h1")
    figures = {
        "report_classes": classes,
        "report_seconds": written,
        "report_megabytes": path.stat().st_size / 1e6,
        "report_peak_gb": peak,
    }
    return figures | ({} if opened is None else {"report_opens_in_chromium_seconds": opened})


def write_subset(run: Run, classes: int) -> None:
    """Write the manifest of all classes, and the chosen images that the report reads.

    All images have the same content.
    """
    source = Path(run.config.source.path)
    image = random_jpeg()
    digest = sha256_bytes(image)
    selections = []
    for number in range(classes):
        selection = make_selection(number)
        hashes = [digest] * len(selection.image_ids)
        selections.append(replace(selection, sha256=hashes))
    table = manifest_table(selections)
    for image_id in kept_rows(table).column("image_id").to_pylist():
        path = source / image_id
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(image)
    write_table(run.store, run.manifest(METHOD), table, fingerprint="m")


def random_jpeg() -> bytes:
    """Return an image of noise."""
    shape = (IMAGE_SIZE, IMAGE_SIZE, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "JPEG")
    return sink.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a twentieth of everything")
    part = QUICK_PART if parser.parse_args().quick else 1
    with tempfile.TemporaryDirectory() as root:
        run = make_run(Path(root), REPORT_CLASSES // part)
        parts: list[Callable[[], dict[str, Any]]] = [
            lambda: viewers(run, VIEWERS // part),
            lambda: large_report(run, REPORT_CLASSES // part),
            lambda: small_classes(Path(root), CLASSES // part),
        ]
        figures: dict[str, Any] = {}
        for measure in parts:
            figures |= measure()
            print(f"{measure.__code__.co_names[0]} done", flush=True)
    for name, value in figures.items():
        print(f"{name:<44}{value:>12.4g}")
    bounds = {"viewers_p99_seconds": {"at_most": 1.0}}
    raise SystemExit(0 if finish("load", figures, bounds) else 1)


if __name__ == "__main__":
    main()
