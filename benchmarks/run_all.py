"""Run every benchmark, keep its results per machine, and write the tables of README.md.

`python -m benchmarks.run_all [--quick] [--only NAME] [--tables]`
"""

import argparse
import json
import re
import subprocess
import sys
from typing import Any

from benchmarks.tables import RESULTS, write_tables

BENCHMARKS = (
    "selection",
    "gains",
    "large_class",
    "groups",
    "decoding",
    "listing",
    "reading",
    "copies",
    "streaming",
    "extraction",
    "scheduling",
    "page",
    "many_classes",
    "load",
    "training",
    "ensembles",
    "saving",
    "sampling",
    "evaluation",
    "cluster_rehearsal",
    "outliers",
)


def run(name: str, *, quick: bool) -> dict[str, Any] | None:
    """Run one benchmark and return the object of its last line; None if it printed none."""
    command = [sys.executable, "-u", "-m", f"benchmarks.{name}", *(["--quick"] if quick else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    try:
        return dict(json.loads(lines[-1]))
    except (IndexError, json.JSONDecodeError):
        return None


def file_name(record: dict[str, Any]) -> str:
    """Return the name of a result: benchmark and machine."""
    machine = record["machine"]
    device = machine["gpu"] or f"{machine['cpu']} {machine['cores']} cores"
    return f"{record['benchmark']}-{re.sub(r'[^a-z0-9]+', '-', device.lower()).strip('-')}.json"


def keep(record: dict[str, Any]) -> None:
    """Write the result of a benchmark on this machine."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / file_name(record)).write_text(
        json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="under a minute each; results are printed, not kept"
    )
    parser.add_argument("--only", choices=BENCHMARKS, help="run one benchmark")
    parser.add_argument(
        "--tables",
        action="store_true",
        help="only write the tables from the results that are there",
    )
    options = parser.parse_args()
    failed = []
    for name in [] if options.tables else [options.only] if options.only else BENCHMARKS:
        record = run(name, quick=options.quick)
        if record is None or not record["ok"]:
            failed.append(name)
        if record is not None and not options.quick:
            keep(record)
    if not options.quick:
        write_tables()
    if failed:
        sys.exit(f"bounds missed or benchmark failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
