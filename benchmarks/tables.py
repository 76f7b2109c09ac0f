"""The tables of README.md, made from the results of all benchmarks."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator

from benchmarks.rows import SECTIONS, Row

HERE = Path(__file__).parent
RESULTS = HERE / "results"
README = HERE / "README.md"
START = "<!-- tables: written by `python -m benchmarks.run_all` -->"
END = "<!-- end of the tables -->"
HEAD = ("| what | ours | yardstick | ratio | asked | machine |", "|---|---|---|---|---|---|")
LARGE = 1000.0
"""From here on, numbers are rounded to whole ones."""

ROWS = {name: rows for benchmarks in SECTIONS.values() for name, rows in benchmarks.items()}
"""The rows of each benchmark that has some; others have tables of their own."""

Bound = dict[Literal["at_least", "at_most"], float]


class Machine(BaseModel):
    """The machine of a result."""

    model_config = ConfigDict(frozen=True)

    cpu: str
    cores: int
    threads: int
    gpu: str | None
    torch: str

    @property
    def short(self) -> str:
        """The name in the tables."""
        if self.gpu is not None:
            return next(word for word in self.gpu.split() if word[-1].isdigit())
        maker = "Xeon" if "Xeon" in self.cpu else "EPYC" if "EPYC" in self.cpu else self.cpu
        return f"{maker}, {self.cores} cores"


class Result(BaseModel):
    """A file of `results/`: the last line of a benchmark."""

    model_config = ConfigDict(frozen=True)

    benchmark: str
    figures: dict[str, float]
    """Those that are numbers."""
    bounds: dict[str, Bound]
    machine: Machine
    commit: str

    @field_validator("figures", mode="before")
    @classmethod
    def _numbers_alone(cls, figures: dict[str, object]) -> dict[str, object]:
        return {name: each for name, each in figures.items() if isinstance(each, int | float)}

    def numbers(self, names: str) -> list[float]:
        """Return the figures of these names, separated by spaces, as far as they are there."""
        return [self.figures[name] for name in names.split() if name in self.figures]


def read_results(folder: Path = RESULTS) -> list[Result]:
    """Return all results, in the order of their files."""
    paths = sorted(folder.glob("*.json"))
    return [Result.model_validate_json(path.read_text(encoding="utf-8")) for path in paths]


def tables(results: Sequence[Result]) -> str:
    """Return the missed bounds, a table for each section, and the machines."""
    parts = [_missed(results)]
    for title, benchmarks in SECTIONS.items():
        lines = [f"## {title}", "", *HEAD]
        for name, rows in benchmarks.items():
            own = [result for result in results if result.benchmark == name]
            for row in rows:
                lines += [_line(row, result) for result in own if _has(row, result)]
        parts.append("\n".join(lines))
    parts.append(_machines(results))
    return "\n\n".join(parts)


def write_tables() -> None:
    """Rewrite the tables of README.md from all results."""
    text = README.read_text(encoding="utf-8")
    README.write_text(with_tables(text, read_results()), encoding="utf-8")


def with_tables(text: str, results: Sequence[Result]) -> str:
    """Return the text of README.md with the tables of these results in their place."""
    before, after = text.split(START, maxsplit=1)[0], text.split(END)[1]
    return f"{before}{START}\n\n{tables(results)}\n\n{END}{after}"


def _missed(results: Sequence[Result]) -> str:
    lines = [line for result in results for line in _missed_by(result)]
    return "\n".join(["## Missed", "", *(lines or ["Every bound is met."])])


def _missed_by(result: Result) -> Iterator[str]:
    for row in ROWS.get(result.benchmark, ()):
        for names, unit in ((row.ours, row.unit), (row.ratio, row.ratio_unit)):
            for name in names.split():
                bound = result.bounds.get(name)
                if bound is not None and not _holds(result.figures[name], bound):
                    against = f" (against {row.versus})" if row.versus else ""
                    found = _with(_number(result.figures[name]), unit)
                    yield (
                        f"- {row.what}{against}: {found}; asked is {_asked(bound)} "
                        f"(`{result.benchmark}`, {result.machine.short})"
                    )


def _line(row: Row, result: Result) -> str:
    yardstick = result.numbers(row.yardstick)
    against = _with(_range(yardstick), row.unit)
    cells = [
        row.what,
        _with(_range(result.numbers(row.ours)), row.unit),
        f"{against} ({row.versus})" if against else row.versus,
        _with(_range(result.numbers(row.ratio)), row.ratio_unit),
        "; ".join(_verdicts(row, result)),
        result.machine.short,
    ]
    return "| " + " | ".join(cells) + " |"


def _has(row: Row, result: Result) -> bool:
    return bool(result.numbers(row.ours) or result.numbers(row.ratio))


def _verdicts(row: Row, result: Result) -> Iterator[str]:
    """Yield each bound of the row once, with what came of it."""
    for names, words in ((row.ours, ""), (row.ratio, "ratio ")):
        bounded = [name for name in names.split() if name in result.bounds]
        by_bound: dict[str, list[bool]] = {}
        for name in bounded:
            bound = result.bounds[name]
            [value] = result.numbers(name)
            by_bound.setdefault(_asked(bound), []).append(_holds(value, bound))
        for asked, held in by_bound.items():
            yield f"{words}{asked}: {'met' if all(held) else '**missed**'}"


def _holds(value: float, bound: Bound) -> bool:
    least, most = bound.get("at_least", float("-inf")), bound.get("at_most", float("inf"))
    return least <= value <= most


def _asked(bound: Bound) -> str:
    parts = [f"{kind.replace('_', ' ')} {_number(limit)}" for kind, limit in bound.items()]
    return ", ".join(parts)


def _range(values: Sequence[float]) -> str:
    texts = [_number(value) for value in sorted(values)]
    if not texts or texts[0] == texts[-1]:
        return texts[0] if texts else ""
    return f"{texts[0]} to {texts[-1]}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= LARGE else f"{value:.3g}"


def _with(number: str, unit: str) -> str:
    return f"{number} {unit}".rstrip() if number else ""


def _machines(results: Sequence[Result]) -> str:
    lines = ["## Machines", "", "| benchmark | machine | threads | torch | commit |"]
    lines.append("|---|---|---|---|---|")
    for result in results:
        machine = result.machine
        name = machine.gpu or f"{machine.cpu}, {machine.cores} cores"
        lines.append(
            f"| {result.benchmark} | {name} | {machine.threads} | {machine.torch} "
            f"| {result.commit} |"
        )
    return "\n".join(lines)
