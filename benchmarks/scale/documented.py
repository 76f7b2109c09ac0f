"""The tables of docs/scale.md, from the figures of this benchmark."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import machine
from benchmarks.scale.outlook import Results, has_outlook, outlook, selection_seconds, slopes
from otcondense.counts import counted

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
START = "<!-- tables: written by `python -m benchmarks.scale --keep` -->"
END = "<!-- end of the tables -->"
WORDS = {
    "list": "list the source",
    "import": "import the features",
    "group": "group",
    "manifest": "`select_subset`, all groups done but not known to be: checks, manifest",
    "again": "`select_subset` once more",
    "verify": "verify",
    "status": "status",
    "page": "first answer of the page",
}
LARGER = ((100_000_000, 4), (1_000_000_000, 16))
"""Rows and nodes of the forecast."""


def tables(results: Results) -> str:
    """Return what was measured, and the forecast, as Markdown."""
    sizes = sorted(results)
    found = machine()
    lines = [
        f"Measured on {counted(found['cores'], 'core')} of {found['cpu']}; seconds, and MiB of "
        "memory of all processes of the stage at its peak.",
        "",
        "| stage | " + " | ".join(f"{size:,} rows" for size in sizes) + " | exponent |",
        "|---" * (len(sizes) + 2) + "|",
        *_measured(results, sizes),
        *_extrapolated(results, sizes),
    ]
    if has_outlook(results):
        for rows, nodes in LARGER:
            lines += ["", *_forecast(results, rows, nodes)]
    return "\n".join(lines)


def _measured(results: Results, sizes: list[int]) -> Iterator[str]:
    exponents = slopes(results, "seconds")
    for stage, words in WORDS.items():
        cells = []
        for size in sizes:
            figures = results[size].get(stage)
            cell = "" if figures is None else _cell(figures["seconds"], figures["peak_mib"])
            cells.append(cell)
        exponent = f"{exponents[stage]:.2f}" if stage in exponents else ""
        yield f"| {words} | " + " | ".join(cells) + f" | {exponent} |"
    answers = [results[size].get("page", {}).get("answer_seconds") for size in sizes]
    cells = ["" if each is None else f"{each:,.1f} s" for each in answers]
    yield "| its answer, which comes later | " + " | ".join(cells) + " | |"
    files = [sum(each.get("files", 0) for each in results[size].values()) for size in sizes]
    yield "| files of the run | " + " | ".join(f"{each:,.0f}" for each in files) + " | |"


def _cell(seconds: float, mebibytes: float) -> str:
    return f"{seconds:,.1f} s, {mebibytes:,.0f} MiB"


def _extrapolated(results: Results, sizes: list[int]) -> Iterator[str]:
    cells = []
    for size in sizes:
        seconds = selection_seconds({size: results[size]}, size)
        cells.append(f"{seconds / 3600:,.2f} core hours")
    yield "| selection of all groups (extrapolated, see above) | " + " | ".join(cells) + " | |"


def _forecast(results: Results, rows: int, nodes: int) -> Iterator[str]:
    yield f"**{rows:,} rows on {nodes} nodes of 64 cores, calculated:**"
    yield ""
    yield "| stage | hours | memory of a process, GiB | files | breaks |"
    yield "|---|---|---|---|---|"
    for each in outlook(results, rows, nodes):
        yield (
            f"| {each.stage} | {each.hours:,.2f} | {each.peak_gib:,.1f} | {each.files:,.0f} "
            f"| {'; '.join(each.faults)} |"
        )


def write_page(results: Results) -> None:
    """Rewrite the tables of the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.split(START, maxsplit=1)[0], text.split(END)[1]
    made = f"{before}{START}\n\n{tables(results)}\n\n{END}{after}"
    PAGE.write_text(made, encoding="utf-8")
