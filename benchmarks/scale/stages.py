"""The stages of one size: what runs, where, and what is kept of it."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from benchmarks.page import serving
from benchmarks.scale.made_up import WIDTH
from benchmarks.scale.meter import MIB, measured
from benchmarks.scale.sampled import METHOD
from jobs.run_directory.opening import read_run

MOST = 2000
"""Images of a group, at most."""
BUDGET = "1%"
STAGES = (
    "write",
    "list",
    "import",
    "group",
    "select",
    "fill",
    "manifest",
    "again",
    "verify",
    "status",
    "page",
)
"""In their order. `fill` is part of the benchmark alone: made-up selections of the groups that are
not sampled. `again` is the selection once more, with nothing left to do."""
Figures = dict[str, float]


@dataclass(frozen=True)
class Size:
    """One number of rows, and the folder of its files."""

    rows: int
    folder: Path
    sampled: int
    """Groups that are selected for real."""
    workers: int
    """Processes of the stages that use Ray; 0 works in the process of the command."""

    @property
    def data(self) -> Path:
        """The folder of the made-up features."""
        return self.folder / "data"

    @property
    def run(self) -> Path:
        """The run directory."""
        return self.folder / "run"

    @property
    def logs(self) -> Path:
        """The folder of what the stages print."""
        return self.folder / "logs"

    @property
    def config(self) -> Path:
        """The configuration of the run."""
        return self.folder / "scale.yaml"


def bytes_needed(rows: int) -> int:
    """Return the disk space that a size needs: rows, features of classes and groups, levels."""
    copies = 4
    return copies * rows * WIDTH * 4


def write_config(size: Size) -> None:
    """Write the configuration: features without labels, groups, one method."""
    values = {
        "source": {
            "kind": "features",
            "path": str(size.data),
            "features_column": "features",
            "label_column": "label",
        },
        "confidence": {"kind": "none"},
        "groups": {"most": MOST, "labels": "ignore"},
        "extraction": {"num_encoders": size.workers},
        "selection": {"methods": [METHOD], "budget": BUDGET, "pool": {"num_actors": size.workers}},
        "cluster": {"use_ray": size.workers > 0},
    }
    size.config.write_text(yaml.safe_dump(values), encoding="utf-8")


def measure(stage: str, size: Size) -> Figures:
    """Run one stage; return its figures."""
    if stage == "page":
        return page(size)
    if stage == "write":
        size.folder.mkdir(parents=True, exist_ok=True)
        write_config(size)
    size.logs.mkdir(exist_ok=True)
    log = size.logs / f"{stage}.log"
    notes = size.logs / f"{stage}.json"
    run = str(size.run)
    commands = {
        "write": ["benchmarks.scale.made_up", str(size.data), str(size.rows)],
        "list": ["benchmarks.scale.listed", str(size.config), run],
        "import": ["jobs.extract_features", run],
        "group": ["jobs.group", run],
        "select": ["benchmarks.scale.sampled", "select", run, str(size.sampled), str(notes)],
        "fill": ["benchmarks.scale.sampled", "fill", run],
        "manifest": ["jobs.select_subset", run],
        "again": ["jobs.select_subset", run],
        "verify": ["jobs.verify", run],
        "status": ["jobs.status", run],
    }
    grows = size.data if stage == "write" else size.run
    figures: Figures = asdict(measured(commands[stage], grows, log))
    if notes.exists():
        figures |= json.loads(notes.read_text(encoding="utf-8"))
    return figures


def page(size: Size) -> Figures:
    """Open the page of the run; return seconds of its first answers and its memory."""
    run = read_run(str(size.run))
    with serving(run) as (port, process):
        address = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=address, timeout=600) as client:
            figures = {
                "first_view_seconds": _seconds(lambda: client.get("/").raise_for_status()),
                "answer_seconds": _seconds(lambda: client.get("/answer").raise_for_status()),
                "overview_seconds": _seconds(lambda: client.get("/api/run").raise_for_status()),
                "window_seconds": _seconds(lambda: _window(client)),
            }
            server = psutil.Process(process.pid)
            times = server.cpu_times()
            figures["peak_mib"] = server.memory_info().rss / MIB
            figures["cpu_seconds"] = times.user + times.system
    figures["seconds"] = figures["first_view_seconds"]
    return figures


def _window(client: httpx.Client) -> None:
    query = {"method": METHOD, "order": "gap", "down": "true"}
    client.get("/api/classes", params=query).raise_for_status()


def _seconds(work: Callable[[], Any]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started
