"""Far more than a laptop sees: 10,000 small classes through the pool, 200 viewers of one page, a report of 1,000 classes.

`python -m benchmarks.load [--quick]`

Yardsticks: the same selections one after another in one process, without pool, actors and files; one viewer alone.
One class of 20,000 images is `benchmarks.large_class`, 1,000 classes of up to 1,300 are `benchmarks.scheduling`.
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

from actors.selector import run_selector
from benchmarks.harness import finish
from benchmarks.page import METHOD, draw_in_browser, make_run, make_selection, serving
from jobs.report.data import SHEET_CLASSES
from jobs.run_directory.config import RunConfig
from jobs.run_directory.run import Run
from otcondense.store import (
    manifest_table,
    read_class_features,
    read_class_selection,
    sha256_bytes,
    write_table,
)

IMAGES, WIDTH, BUDGET, BELOW = 50, 32, 10, 0.1
"""Of each small class; this share of the classes has fewer images than the budget asks for."""
VIEWERS, VIEW_SECONDS, POLL_SECONDS = 200, 20.0, 2.0
SAMPLE = 50
"""Classes that the yardstick selects."""


class Peak:
    """The most memory that a process and all under it hold while the block runs, in GB; shared pages count once for each."""

    def __init__(self, process: int) -> None:
        self._process, self._done, self.gigabytes = psutil.Process(process), threading.Event(), 0.0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.25):
            try:
                self.gigabytes = max(self.gigabytes, self._process.memory_info().rss / 1e9)
            except psutil.NoSuchProcess:
                return


def small_classes(root: Path, classes: int) -> dict[str, float]:
    """Select from very many small classes through the command line."""
    generator = np.random.default_rng(0)
    sizes = np.where(
        generator.random(classes) < BELOW, generator.integers(1, BUDGET, classes), IMAGES
    )
    (root / "given").mkdir()
    np.save(
        root / "given/features.npy", generator.normal(size=(sizes.sum(), WIDTH)).astype(np.float32)
    )
    np.save(root / "given/labels.npy", np.repeat(np.arange(classes), sizes))
    # Swaps to their proof and nothing more: rebuilds and bounds take a second a class, and would hide what this is about.
    settings = {METHOD: {"rebuilds": 0, "lower_bound": None}}
    selection = {
        "budget": BUDGET,
        "small_class": "take_all",
        "methods": [METHOD],
        "settings": settings,
    }
    values = {
        "run": str(root / "small"),
        "source": {"kind": "features", "path": str(root / "given")},
        "confidence": {"kind": "none"},
        "selection": selection,
    }
    (root / "small.yaml").write_text(yaml.safe_dump(values))
    imported, _ = command("extract_features", f"--config={root / 'small.yaml'}")
    selected, peak = command("select_subset", f"--config={root / 'small.yaml'}")
    again, _ = command("select_subset", f"--config={root / 'small.yaml'}")
    checked, _ = command("verify", str(root / "small"))
    run = Run(RunConfig(**values))
    alone = one_after_another(run, classes)
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


def command(verb: str, *arguments: str) -> tuple[float, float]:
    """Run a verb to its end; returns seconds and the peak memory of its process in GB."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", f"jobs.{verb}", *arguments], stdout=subprocess.DEVNULL
    )
    with Peak(process.pid) as peak:
        if process.wait() != 0:
            raise RuntimeError(f"jobs.{verb} ended with {process.returncode}")
    return time.perf_counter() - started, peak.gigabytes


def one_after_another(run: Run, classes: int) -> float:
    """Return the seconds that a class takes in this process, and see that it is the same selection."""
    names = [str(number) for number in range(0, classes, max(1, classes // SAMPLE))]
    directory, settings = (
        run.features_directory(run.config.encoder),
        run.config.selection.selector_settings(METHOD, BUDGET),
    )
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
    assert all(np.array_equal(one, two) for one, two in zip(chosen, stored, strict=True)), (
        "the pool chose other images"
    )
    return taken


def viewers(run: Run, count: int) -> dict[str, float]:
    """Have very many look at the page at once, as browsers do: the first view, then the state again and again."""
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
    """Return the seconds of each answer to that many viewers; a refusal is an error."""
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
    """Open the page, then ask for its state every two seconds."""
    times, tag = [], ""
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
    """Write the manifest of all classes, and the chosen images of those that the report shows; all are the same picture."""
    source, selections = (
        Path(run.config.source.path),
        [make_selection(number) for number in range(classes)],
    )
    sink = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)).save(
        sink, "JPEG"
    )
    for selection in selections[:SHEET_CLASSES]:
        (source / selection.class_name).mkdir()
        for index in selection.indices:
            (source / selection.image_ids[index]).write_bytes(sink.getvalue())
    digest = sha256_bytes(sink.getvalue())
    table = manifest_table(
        [replace(each, sha256=[digest] * len(each.image_ids)) for each in selections]
    )
    write_table(run.store, run.manifest(METHOD), table, fingerprint="m")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a twentieth of everything")
    part = 20 if parser.parse_args().quick else 1
    with tempfile.TemporaryDirectory() as root:
        run = make_run(Path(root), 1000 // part)
        parts: list[Callable[[], dict[str, Any]]] = [
            lambda: viewers(run, VIEWERS // part),
            lambda: large_report(run, 1000 // part),
            lambda: small_classes(Path(root), 10_000 // part),
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
