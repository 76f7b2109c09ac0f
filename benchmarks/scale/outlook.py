"""What was measured, taken further: slopes between sizes, and larger sizes on larger clusters."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.scale.made_up import WIDTH

CORES_OF_NODE = 64
NODE_MIB = 256 * 1024
"""Memory of a node with 64 cores, as clouds rent them."""
LONGEST_HOURS = 24.0
"""A stage that takes longer is said to break: nobody waits for it."""
NODE_BYTES_A_SECOND = 10**9
"""What a node reads and writes on shared storage, as parallel file systems give it."""
PASSES = {"group": 6, "select": 1}
"""Stages whose work is spread over the cores of all nodes, and how often they read or write all
features. A grouping draws its samples, reads and writes the rows of a level, reads them to split
cells and to write groups, and writes the groups. Other stages run in the driver."""
ROW_BYTES = WIDTH * 4
"""Features of a row in float32."""
MOST_FILES = 10_000_000
"""Files of a run; listing them takes 10,000 requests of 1,000 names at an object store."""
OWN = ("write", "fill", "page")
"""Stages that are part of the benchmark, or have no work that grows as rows do."""
LEAST_ROWS = 1_000_000
"""Rows of the largest size that is taken further: in smaller ones, starts hide what grows."""
STEEP = 1.1
"""Slope above which a figure grows faster than rows, and not by noise."""
Figures = Mapping[str, float]
Results = Mapping[int, Mapping[str, Figures]]
"""Figures of each stage, by the number of rows."""


@dataclass(frozen=True)
class Outlook:
    """One stage at a size that was not measured."""

    stage: str
    rows: int
    nodes: int
    hours: float
    peak_gib: float
    """Of one process: the driver, or a worker if the stage is spread."""
    files: float

    @property
    def faults(self) -> tuple[str, ...]:
        """What breaks, in words."""
        found = []
        if self.hours > LONGEST_HOURS:
            found.append(f"{self.stage} takes {self.hours:,.0f} hours")
        if self.peak_gib * 1024 > NODE_MIB:
            found.append(f"{self.stage} takes {self.peak_gib:,.0f} GiB of memory")
        if self.files > MOST_FILES:
            found.append(f"{self.stage} writes {self.files:,.0f} files")
        return tuple(found)


def slope(smaller: tuple[int, float], larger: tuple[int, float]) -> float:
    """Return the exponent p of value ~ rows^p between two sizes; 0 if a value is not positive."""
    if smaller[1] <= 0 or larger[1] <= 0:
        return 0.0
    return math.log(larger[1] / smaller[1]) / math.log(larger[0] / smaller[0])


def slopes(results: Results, figure: str) -> dict[str, float]:
    """Return the slope of a figure of each stage between the two largest sizes that have it."""
    found: dict[str, float] = {}
    for stage in _stages(results):
        known = _known(results, stage, figure)
        if len(known) > 1:
            found[stage] = slope(known[-2], known[-1])
    return found


def has_outlook(results: Results) -> bool:
    """Tell whether two sizes were measured, and one that says something of larger ones."""
    return len(results) > 1 and max(results) >= LEAST_ROWS


def outlook(results: Results, rows: int, nodes: int) -> Iterator[Outlook]:
    """Yield each stage at another size, from its largest measured one and its slope.

    Spread stages take their seconds of CPU by the number of cores, or the time of their reads and
    writes if that is longer. The memory of one worker does not grow: a worker holds one part or one
    group. It needs two sizes.
    """
    for stage in _stages(results):
        if stage in OWN:
            continue
        is_spread = stage in PASSES
        seconds = _at(results, stage, "cpu_seconds" if is_spread else "seconds", rows)
        if stage == "select":
            seconds = selection_seconds(results, rows)
        if is_spread:
            traffic = PASSES[stage] * rows * ROW_BYTES / (nodes * NODE_BYTES_A_SECOND)
            seconds = max(seconds / (nodes * CORES_OF_NODE), traffic)
        largest = results[max(size for size in results if stage in results[size])][stage]
        peak = largest["peak_mib"] if is_spread else _at(results, stage, "peak_mib", rows)
        yield Outlook(
            stage=stage,
            rows=rows,
            nodes=nodes,
            hours=seconds / 3600,
            peak_gib=peak / 1024,
            files=_files(results, stage, rows),
        )


def selection_seconds(results: Results, rows: int) -> float:
    """Return the seconds of CPU to select all groups: those of an image of the sample, times all.

    Extrapolated: only some groups were selected for real.
    """
    sampled = [figures["select"] for _, figures in sorted(results.items()) if "select" in figures]
    largest = sampled[-1]
    return largest["select_cpu_seconds"] / largest["selected_images"] * rows


def _files(results: Results, stage: str, rows: int) -> float:
    """Return the files of a stage; the selection has one for each group, which `fill` wrote."""
    files = _at(results, stage, "files", rows)
    if stage == "select":
        files += _at(results, "fill", "files", rows)
    return files


def _at(results: Results, stage: str, figure: str, rows: int) -> float:
    """Return a figure at another size, from the two largest measured ones.

    The line through both, because what a process costs at its start does not grow; above
    `STEEP`, the power of rows through both. Figures that fall stay as they are.
    """
    known = _known(results, stage, figure)
    if len(known) < 2:
        return known[-1][1] if known else 0.0
    (before, less), (size, value) = known[-2:]
    exponent = slope(known[-2], known[-1])
    if exponent > STEEP:
        growth: float = (rows / size) ** exponent
        return value * growth
    return value + max(0.0, value - less) / (size - before) * (rows - size)


def _known(results: Results, stage: str, figure: str) -> list[tuple[int, float]]:
    known = []
    for rows in sorted(results):
        figures = results[rows].get(stage, {})
        if figure in figures:
            known.append((rows, figures[figure]))
    return known


def _stages(results: Results) -> list[str]:
    names = [stage for figures in results.values() for stage in figures]
    return list(dict.fromkeys(names))
