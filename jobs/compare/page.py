"""The page of a comparison, one self-contained file: overview, findings, ranks, curves, tables."""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.compare.config import CompareConfig, direction_of
from jobs.compare.overview import BEST_GROUP, change_text, number, overviews
from jobs.compare.predictions import predictions
from jobs.compare.results import Row, variants_of
from jobs.compare.statements import (
    guidances_of,
    seeds_text,
    statements,
    verdict,
)
from jobs.compare.summary import Cell, Figure, mean_ranks, places, unmeasured
from jobs.trials.config import VARIANT
from jobs.trials.trial import Sweep
from otcondense.counts import counted
from otcondense.evaluation.registry import METRICS, bounds_of, direction_phrase
from otcondense.report.embed import Plot, embed
from otcondense.report.page import render_page as render_template
from otcondense.report.plots import colour_of
from otcondense.report.spreads import Spread, interval_curves, seed_dots


@dataclass(frozen=True)
class Panel:
    """One metric at one number of chosen images and one guidance."""

    title: str
    curve: Plot | None
    """Over the training length; None if there is one length."""
    dots: Plot
    """Every seed at the greatest length."""
    tables: tuple[Cell, ...]


def render_page(
    config: CompareConfig, sweep: Sweep, rows: Sequence[Row], found: Sequence[Cell], num_failed: int
) -> str:
    """Return the page; the same rows give the same text, and all data is escaped.

    Args:
        config: what was compared.
        sweep: its trials and the configuration that they vary.
        rows: results of every trial and checkpoint.
        found: the tables.
        num_failed: trials that failed.
    """
    bundles = sweep.config.variants
    variants = variants_of(rows, sweep)
    sentences = {metric: _sentences(found, metric, config) for metric in config.metrics}
    legend = {name: colour_of(name, variants) for name in variants}
    settings = {name: _plain_settings(bundles[name]) for name in variants}
    meanings = {name: metric.meaning for name, metric in METRICS.items()}
    context = {
        "config": config,
        "facts": _facts(config, rows, num_failed),
        "legend": legend,
        "settings": settings,
        "overviews": overviews(found, config),
        "best_group": BEST_GROUP,
        "unmeasured": unmeasured(found, config),
        "statements": sentences,
        "ranks": _rank_table(found, config, variants),
        "panels": _panels(found, config, variants),
        "predictions": predictions(rows, config.metrics[0]),
        "meanings": meanings,
        "number": number,
        "interval": interval_text,
        "change": change_text,
        "seeds": seeds_text,
        "verdict": verdict,
    }
    return render_template("jobs.compare", "page.html.j2", context)


def _facts(config: CompareConfig, rows: Sequence[Row], num_failed: int) -> dict[str, str]:
    facts = {
        "variants": str(len(_values(rows, VARIANT))),
        "chosen images": _numbers(_values(rows, "num_images")),
        "guidance": ", ".join(f"{value:g}" for value in sorted(_values(rows, "guidance"))),
        "training steps": _numbers(_values(rows, "step")),
        "seeds": str(len(config.seeds)),
        "trials": str(len(_values(rows, "trial"))),
    }
    if num_failed:
        facts["failed"] = str(num_failed)
    return facts


def _values(rows: Sequence[Row], name: str) -> set[Any]:
    return {row[name] for row in rows}


def _numbers(values: set[int]) -> str:
    return ", ".join(f"{value:,}" for value in sorted(values))


def _plain_settings(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in settings.items())


def _of_metric(found: Sequence[Cell], metric: str) -> list[Cell]:
    return [cell for cell in found if cell.metric == metric]


def _sentences(found: Sequence[Cell], metric: str, config: CompareConfig) -> list[str]:
    """Return the statements on one metric, without its name at their start."""
    whole = statements(_of_metric(found, metric), config)
    return [sentence.split(", ", 1)[1] for sentence in whole]


def _rank_table(
    found: Sequence[Cell], config: CompareConfig, variants: Sequence[str]
) -> list[tuple[str, list[str]]]:
    """Return variants with their mean rank by each metric, in the order of the first."""
    ranks = {metric: mean_ranks(found, metric) for metric in config.metrics}
    order = dict.fromkeys([*ranks[config.metrics[0]], *variants])
    return [(name, _rank_texts(ranks.values(), name)) for name in order]


def _rank_texts(ranks: Iterable[dict[str, float]], variant: str) -> list[str]:
    """Return the mean ranks of a variant by each metric; empty if it has none."""
    texts = []
    for by_variant in ranks:
        rank = by_variant.get(variant)
        texts.append("" if rank is None else f"{rank:.1f}")
    return texts


def _panels(
    found: Sequence[Cell], config: CompareConfig, variants: Sequence[str]
) -> dict[str, list[Panel]]:
    panels: dict[str, list[Panel]] = {}
    guidances = guidances_of(found)
    for metric in config.metrics:
        heading = f"{metric} ({direction_phrase(direction_of(metric))})"
        for (size, guidance), own in places(_of_metric(found, metric)).items():
            suffix = f", guidance {guidance:g}" if len(guidances) > 1 else ""
            title = f"{metric}, {counted(size, 'chosen image')}{suffix}"
            name = f"{metric}-{size}" + (f"-{guidance:g}" if suffix else "")
            panels.setdefault(heading, []).append(_panel(title, name, own, variants))
    return panels


def _panel(title: str, name: str, own: Sequence[Cell], variants: Sequence[str]) -> Panel:
    spreads = [_spreads(cell) for cell in own]
    bounds = bounds_of(own[0].metric)

    curve = None
    if len(own) > 1:
        flat = list(itertools.chain.from_iterable(spreads))
        words = (
            f"{title}: mean over seeds with 95 % confidence intervals, over training steps; "
            "the tables below have the numbers."
        )
        figure = interval_curves(flat, "", variants, bounds)
        figure.update_yaxes(title_text=own[0].metric)
        curve = embed(f"curve-{name}", figure, words)

    words = (
        f"{title}, {counted(own[-1].step, 'training step')}: one dot for each seed, "
        "one line for the interval."
    )
    dots = embed(f"dots-{name}", seed_dots(spreads[-1], own[-1].metric, variants, bounds), words)
    return Panel(title, curve, dots, tuple(own))


def _spreads(cell: Cell) -> list[Spread]:
    return [_spread(figure, cell.step) for figure in cell.figures]


def _spread(figure: Figure, step: int) -> Spread:
    # An interval is cut at the bounds of its metric, on one side if at all: the other is whole.
    interval = figure.interval
    half = max(interval.high - interval.mean, interval.mean - interval.low)
    return Spread(
        method=figure.variant,
        steps=step,
        mean=figure.interval.mean,
        half_width=None if math.isnan(half) else half,
        values=figure.values,
    )


def interval_text(figure: Figure) -> str:
    """Return the confidence interval, empty for one seed."""
    interval = figure.interval
    return "" if math.isnan(interval.low) else f"{interval.low:.4g} to {interval.high:.4g}"
