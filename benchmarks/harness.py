"""What every benchmark prints last: one JSON object with figures, bounds, machine and commit."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

Bounds = Mapping[str, Mapping[str, float]]
"""What is asked of figures, by their names: {"at_most": value}, {"at_least": value} or both."""


def machine() -> dict[str, Any]:
    """Describe the machine, as far as it matters for speed."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
        "torch": torch.__version__,
    }


def _cpu_name() -> str:
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.exists() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


def commit() -> str:
    """Return the commit that was measured, with a mark if the tree has changes."""
    result = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout.strip() or "unknown"


def missed(figures: Mapping[str, Any], bounds: Bounds) -> list[str]:
    """Return the names of the figures that miss their bound."""
    broken = []
    for name, bound in bounds.items():
        value = figures[name]
        if not (
            value <= bound.get("at_most", float("inf"))
            and value >= bound.get("at_least", float("-inf"))
        ):
            broken.append(f"{name} = {value:.4g}, asked {dict(bound)}")
    return broken


def finish(name: str, figures: Mapping[str, Any], bounds: Bounds) -> bool:
    """Print the missed bounds and the last line; say whether all bounds hold."""
    record = record_of(name, figures, bounds)
    for line in missed(figures, bounds):
        print(f"missed: {line}")
    print(json.dumps(record, sort_keys=True))
    return bool(record["ok"])


def record_of(name: str, figures: Mapping[str, Any], bounds: Bounds) -> dict[str, Any]:
    """Return what is kept of a benchmark."""
    return {
        "benchmark": name,
        "figures": dict(figures),
        "bounds": {key: dict(value) for key, value in bounds.items()},
        "ok": not missed(figures, bounds),
        "machine": machine(),
        "commit": commit(),
    }
