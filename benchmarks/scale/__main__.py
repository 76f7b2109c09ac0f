"""Every stage from listing to page for features without labels, at several sizes.

`python -m benchmarks.scale [--rows 100000 1000000] [--quick] [--folder DIRECTORY] [--keep]`

A finished stage of a size is kept in a file of the folder and not measured again. Of the groups, a
fixed sample is selected for real; all others get made-up selections, so that manifest, verify,
status and page see as many as there are.
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.harness import finish, record_of
from benchmarks.run_all import keep
from benchmarks.scale.documented import LARGER, write_page
from benchmarks.scale.outlook import Results, has_outlook, outlook, selection_seconds, slopes
from benchmarks.scale.stages import STAGES, Size, bytes_needed, measure
from benchmarks.tables import write_tables

ROWS = (100_000, 1_000_000, 10_000_000)
QUICK_ROWS = (20_000, 40_000)
SAMPLED = 50
"""Groups that are selected for real: a few minutes on one core."""
QUICK_SAMPLED = 4
GIB = 2**30
SHOWN = ("seconds", "cpu_seconds", "peak_mib", "files", "written_mib")


def main() -> None:
    arguments = parsed()
    if arguments.folder is not None:
        raise SystemExit(run(arguments, arguments.folder))
    with tempfile.TemporaryDirectory() as folder:
        raise SystemExit(run(arguments, Path(folder)))


def parsed() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--quick", action="store_true", help="two sizes of some ten thousand rows")
    parser.add_argument("--folder", type=Path, help="keep files and finished measurements here")
    parser.add_argument("--keep", action="store_true", help="write the result and the tables")
    parser.add_argument("--workers", type=int, default=0, help="processes of Ray; 0 without Ray")
    return parser.parse_args()


def run(arguments: argparse.Namespace, folder: Path) -> int:
    """Measure all sizes, print the tables, and return the exit status."""
    rows = QUICK_ROWS if arguments.quick else tuple(sorted(arguments.rows))
    sampled = QUICK_SAMPLED if arguments.quick else SAMPLED
    folder.mkdir(parents=True, exist_ok=True)
    results: dict[int, dict[str, dict[str, float]]] = {}
    for count in rows:
        size = Size(count, folder / str(count), sampled, arguments.workers)
        results[count] = measured_size(size)
        print_size(count, results[count])
    for line in forecast_lines(results):
        print(line)
    figures = figures_of(results)
    if arguments.keep:
        keep(record_of("scale", figures, {}))
        write_tables()
        write_page(results)
    return 0 if finish("scale", figures, {}) else 1


def measured_size(size: Size) -> dict[str, dict[str, float]]:
    """Return the figures of all stages of a size; finished ones come from its state file."""
    state = size.folder / "measured.json"
    found: dict[str, dict[str, float]] = {}
    if state.exists():
        found = json.loads(state.read_text(encoding="utf-8"))
    for stage in STAGES:
        if stage in found:
            continue
        if not found:
            refuse_small_disk(size)
        found[stage] = measure(stage, size)
        partial = state.with_suffix(".partial")
        partial.write_text(json.dumps(found, indent=1), encoding="utf-8")
        partial.rename(state)
        print(f"{size.rows:,} rows: {stage}: {found[stage]['seconds']:.1f} s", flush=True)
    return found


def refuse_small_disk(size: Size) -> None:
    """Stop if the disk cannot hold a size."""
    free = shutil.disk_usage(size.folder.parent).free
    needed = bytes_needed(size.rows)
    if free < needed:
        raise SystemExit(
            f"{size.rows:,} rows need {needed / GIB:.0f} GiB in {size.folder.parent}, found "
            f"{free / GIB:.0f} free; name another --folder or fewer --rows"
        )


def print_size(rows: int, stages: dict[str, dict[str, float]]) -> None:
    """Print one line for each stage."""
    print(f"\n{rows:,} rows")
    print(f"{'stage':<10}" + "".join(f"{name:>14}" for name in SHOWN))
    for stage, figures in stages.items():
        cells = [f"{figures[name]:>14,.1f}" if name in figures else f"{'':>14}" for name in SHOWN]
        print(f"{stage:<10}" + "".join(cells))


def forecast_lines(results: Results) -> Iterator[str]:
    """Yield slopes, and each stage at larger sizes with what breaks."""
    for figure in ("seconds", "peak_mib", "files"):
        found = ", ".join(
            f"{stage} {value:.2f}" for stage, value in slopes(results, figure).items()
        )
        yield f"\nslope of {figure}: {found or 'needs two sizes'}"
    if not has_outlook(results):
        return
    for rows, nodes in LARGER:
        yield f"\n{rows:,} rows on {nodes} nodes of 64 cores (extrapolated)"
        for each in outlook(results, rows, nodes):
            faults = f"  breaks: {'; '.join(each.faults)}" if each.faults else ""
            yield (
                f"{each.stage:<10}{each.hours:>12.2f} h{each.peak_gib:>12.1f} GiB"
                f"{each.files:>14,.0f} files{faults}"
            )


def figures_of(results: Results) -> dict[str, Any]:
    """Return all figures under names such as 100000_group_seconds."""
    figures: dict[str, Any] = {}
    for rows, stages in results.items():
        for stage, values in stages.items():
            for name, value in values.items():
                figures[f"{rows}_{stage}_{name}"] = round(value, 3)
        if "select" in stages:
            figures[f"{rows}_select_all_cpu_seconds"] = round(selection_seconds(results, rows), 1)
    for name in ("seconds", "peak_mib"):
        for stage, value in slopes(results, name).items():
            figures[f"slope_{stage}_{name}"] = round(value, 3)
    if not has_outlook(results):
        return figures
    for rows, nodes in LARGER:
        for each in outlook(results, rows, nodes):
            key = f"{rows}_{nodes}_nodes_{each.stage}"
            figures[f"{key}_hours"] = round(each.hours, 3)
            figures[f"{key}_gib"] = round(each.peak_gib, 2)
    return figures


if __name__ == "__main__":
    main()
