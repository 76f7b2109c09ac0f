"""The table that is read first: variants by budgets, at the last training length."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from jobs.compare.config import CompareConfig, direction_of
from jobs.compare.statements import Verdict, guidances_of, seeds_text, verdict
from jobs.compare.summary import SHOWN_DIGITS, Cell, Figure, mean_ranks
from otcondense.counts import counted
from otcondense.evaluation.registry import direction_phrase

BEST_GROUP = "*"
"""Marks the best of a column, and what no test tells apart from it."""


@dataclass(frozen=True)
class Entry:
    """One variant in one column."""

    mean: str
    change: str
    """Difference from the reference ± half its 95 % confidence interval; empty for the reference
    itself."""
    verdict: Verdict
    seeds: str
    """Seeds in which it is better, such as 7 of 8; empty for the reference."""
    among_best: bool

    @property
    def words(self) -> str:
        """The entry in one line of text."""
        mark = BEST_GROUP if self.among_best else ""
        rest = ", ".join(part for part in (self.verdict, self.seeds) if part)
        return "  ".join(part for part in (self.mean + mark, self.change, rest) if part)


@dataclass(frozen=True)
class Overview:
    """One metric at the last training length."""

    metric: str
    direction: str
    """In words."""
    step: int
    against: str
    columns: tuple[str, ...]
    """Budgets, and guidances if there are several."""
    rows: tuple[tuple[str, tuple[Entry | None, ...]], ...]
    """Variants, best first, with an entry for each column; None without a result."""

    @property
    def has_best(self) -> bool:
        """Whether any entry is marked as one of the best."""
        return any(each is not None and each.among_best for _, row in self.rows for each in row)


def overviews(found: Sequence[Cell], config: CompareConfig) -> list[Overview]:
    """Return the overview of each measured metric, in the order of the configuration."""
    made = []
    for metric in config.metrics:
        own = [cell for cell in found if cell.metric == metric]
        if own:
            made.append(_overview(metric, own, config.against))
    return made


def _overview(metric: str, own: Sequence[Cell], against: str) -> Overview:
    step = max(cell.step for cell in own)
    last = [cell for cell in own if cell.step == step]
    guidances = guidances_of(own)
    present = dict.fromkeys(_variants(last))
    names = dict.fromkeys([*mean_ranks(last, metric), *present])
    columns = tuple(heading_text(cell, guidances) for cell in last)
    rows = tuple((name, tuple(_entry(cell, name) for cell in last)) for name in names)
    phrase = direction_phrase(direction_of(metric))
    return Overview(metric, phrase, step, against, columns, rows)


def _variants(found: Iterable[Cell]) -> Iterator[str]:
    for cell in found:
        yield from (figure.variant for figure in cell.figures)


def heading_text(cell: Cell, guidances: Sequence[float]) -> str:
    """Return images and guidance of a table; guidance only if there are several."""
    guidance = f", guidance {cell.guidance:g}" if len(guidances) > 1 else ""
    return f"{counted(cell.num_images, 'image')}{guidance}"


def _entry(cell: Cell, variant: str) -> Entry | None:
    for figure in cell.figures:
        if figure.variant == variant:
            seeds = seeds_text(figure, cell) if figure.difference is not None else ""
            return Entry(
                mean=number(figure.interval.mean),
                change=change_text(figure),
                verdict=verdict(figure, cell.metric),
                seeds=seeds,
                among_best=bool(figure.among_best),
            )
    return None


def number(value: float) -> str:
    """Return a value as tables show it."""
    return f"{value:.{SHOWN_DIGITS}g}"


def change_text(figure: Figure) -> str:
    """Return the difference from the reference ± half its interval; empty for the reference."""
    found = figure.difference
    if found is None or found.num_pairs == 0:
        return ""
    difference = f"{found.mean:+.3g}"
    return difference if found.num_pairs == 1 else f"{difference} ± {found.high - found.mean:.2g}"


def overview_text(overview: Overview) -> str:
    """Return an overview as lines of text, for a terminal."""
    heads = ("", *overview.columns)
    lines = [heads]
    for name, entries in overview.rows:
        lines.append((name, *(each.words if each else "-" for each in entries)))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]

    title = (
        f"{overview.metric} ({overview.direction}) after {counted(overview.step, 'step')}; "
        f"difference from {overview.against}, better seeds"
    )
    body = []
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        body.append("  ".join(padded).rstrip())
    if overview.has_best:
        body.append(f"{BEST_GROUP} the best, and what no test tells apart from it")
    return "\n".join([title, *body])
