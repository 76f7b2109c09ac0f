"""What a comparison says in words: verdicts, seeds, and a sentence for each table."""

from collections.abc import Iterator, Sequence
from typing import Literal

from jobs.compare.config import CompareConfig
from jobs.compare.summary import Cell, Figure
from otcondense.counts import counted
from otcondense.evaluation.comparison import seeds_to_pass

Verdict = Literal["", "better", "worse", "within the noise", "too few seeds", "no common seed"]


def verdict(figure: Figure, metric: str) -> Verdict:
    """Return how a variant differs from the reference; empty for the reference."""
    found = figure.difference
    if found is None:
        return ""
    if found.num_pairs == 0:
        return "no common seed"
    if not found.can_pass:
        return "too few seeds"
    if not figure.is_beyond_noise:
        return "within the noise"
    return "better" if figure.is_better(metric) else "worse"


def seeds_text(figure: Figure, cell: Cell) -> str:
    """Return in how many seeds a variant is better than the reference, such as 7 of 8."""
    assert figure.difference is not None, "the reference has no pairs"
    count, pairs = figure.seeds_better(cell.metric), figure.difference.num_pairs
    whole = "all " if count == pairs > 1 else ""
    common = " common" if pairs < cell.num_seeds else ""
    return f"{whole}{count} of {pairs}{common}"


def place_text(cell: Cell, guidances: Sequence[float]) -> str:
    """Return images, guidance and steps of a table; guidance only if there are several."""
    guidance = f", guidance {cell.guidance:g}" if len(guidances) > 1 else ""
    return f"{counted(cell.num_images, 'image')}{guidance}, {counted(cell.step, 'step')}"


def guidances_of(found: Sequence[Cell]) -> tuple[float, ...]:
    """Return the guidances of the tables."""
    return tuple(sorted({cell.guidance for cell in found}))


def statements(found: Sequence[Cell], config: CompareConfig) -> Iterator[str]:
    """Yield a sentence for each table: the variants that differ from the reference beyond noise."""
    guidances = guidances_of(found)
    for cell in found:
        clauses = "; ".join(_clauses(cell, config)) or _without_pairs(cell, config.against)
        yield f"{cell.metric}, {place_text(cell, guidances)}: {clauses}."


def _without_pairs(cell: Cell, against: str) -> str:
    """Return why a table compares nothing."""
    has_reference = any(figure.variant == against for figure in cell.figures)
    return f"only {against} has results" if has_reference else f"no results of {against}"


def _clauses(cell: Cell, config: CompareConfig) -> Iterator[str]:
    groups: dict[Verdict, list[str]] = {}
    for figure in cell.figures:
        if figure.difference is not None:
            words = f"{figure.variant} ({seeds_text(figure, cell)} better)"
            groups.setdefault(verdict(figure, cell.metric), []).append(words)

    if "better" in groups:
        yield f"better than {config.against}: {', '.join(groups['better'])}"
    elif "worse" in groups or "within the noise" in groups:
        yield f"none better than {config.against}"
    if "worse" in groups:
        yield f"worse: {', '.join(groups['worse'])}"
    if "within the noise" in groups:
        yield f"within the noise: {', '.join(groups['within the noise'])}"
    if "too few seeds" in groups:
        needed = seeds_to_pass(cell.num_comparisons, config.correction)
        yield f"too few seeds to test, {needed} needed: {', '.join(groups['too few seeds'])}"
    if "no common seed" in groups:
        yield f"no common seed: {', '.join(groups['no common seed'])}"
