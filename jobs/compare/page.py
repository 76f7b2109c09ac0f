"""The page of a comparison, one self-contained file: what can be said, ranks, curves, every seed, every table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobs.compare.config import CompareConfig, direction_of
from jobs.compare.summary import Cell, Figure, Row, mean_ranks, predictions, statements
from jobs.trials.config import VARIANT
from jobs.trials.trial import Sweep
from otcondense.report.embed import Plot, embed
from otcondense.report.page import render_page as render_template
from otcondense.report.plots import Spread, colour_of, interval_curves, seed_dots
from otcondense.report.tables import METRICS


@dataclass(frozen=True)
class Panel:
    """One metric at one number of chosen images."""

    title: str
    curve: Plot | None
    """Over the training length; None where there is one length."""
    dots: Plot
    """Every seed at the greatest length."""
    tables: tuple[Cell, ...]


def render_page(
    config: CompareConfig, sweep: Sweep, rows: Sequence[Row], found: Sequence[Cell], num_failed: int
) -> str:
    """Return the page; the same rows give the same text, and everything that comes from data is escaped.

    Args:
        config: what was compared.
        sweep: its trials and the configuration that they vary.
        rows: of every trial and checkpoint.
        found: the tables.
        num_failed: trials that were not measured to their end.
    """
    variants = sorted({row[VARIANT] for row in rows}, key=list(sweep.config.variants).index)
    sizes = sorted({cell.num_images for cell in found})
    context = {
        "config": config,
        "facts": _facts(config, rows, num_failed),
        "legend": {name: colour_of(name, variants) for name in variants},
        "settings": {name: _plain_settings(sweep.config.variants[name]) for name in variants},
        "statements": {
            metric: [_after_metric(each) for each in statements(_of(found, metric), config)]
            for metric in config.metrics
        },
        "ranks": _rank_table(found, config, variants),
        "panels": {
            f"{metric} ({direction(metric)} is better)": [
                _panel(metric, size, found, variants) for size in sizes
            ]
            for metric in config.metrics
            if _of(found, metric)
        },
        "predictions": predictions(rows, config.metrics[0]),
        "meanings": {each.key: each.meaning for each in METRICS},
        "number": number,
        "interval": interval_text,
        "verdict": verdict,
    }
    return render_template("jobs.compare", "page.html.j2", context)


def _facts(config: CompareConfig, rows: Sequence[Row], num_failed: int) -> dict[str, str]:
    sizes, steps = ({row[name] for row in rows} for name in ("num_images", "step"))
    return {
        "variants": str(len({row[VARIANT] for row in rows})),
        "chosen images": ", ".join(f"{each:,}" for each in sorted(sizes)),
        "training steps": ", ".join(f"{each:,}" for each in sorted(steps)),
        "seeds": str(len(config.seeds)),
        "trainings": str(len({row["trial"] for row in rows})),
        **({"failed": str(num_failed)} if num_failed else {}),
    }


def _plain_settings(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in settings.items())


def _of(found: Sequence[Cell], metric: str) -> list[Cell]:
    return [cell for cell in found if cell.metric == metric]


def _after_metric(sentence: str) -> str:
    return sentence.split(", ", 1)[1]


def _rank_table(
    found: Sequence[Cell], config: CompareConfig, variants: Sequence[str]
) -> list[tuple[str, list[str]]]:
    """Return variants with their mean rank by each metric, in the order of the first."""
    ranks = {metric: mean_ranks(found, metric) for metric in config.metrics}
    order = list(dict.fromkeys([*ranks[config.metrics[0]], *variants]))
    return [
        (
            name,
            [
                f"{ranks[metric][name]:.1f}" if name in ranks[metric] else ""
                for metric in config.metrics
            ],
        )
        for name in order
    ]


def _panel(metric: str, size: int, found: Sequence[Cell], variants: Sequence[str]) -> Panel:
    own = [cell for cell in _of(found, metric) if cell.num_images == size]
    title, name = f"{metric}, {size:,} chosen images", f"{metric}-{size}"
    spreads = [[_spread(figure, cell.step) for figure in cell.figures] for cell in own]
    flat = [each for part in spreads for each in part]
    words = f"{title}: mean over seeds with 95 % confidence intervals, over training steps; the figures are in the tables below."
    curve = (
        embed(f"curve-{name}", interval_curves(flat, title, variants), words)
        if len(own) > 1
        else None
    )
    last = f"{title}, {own[-1].step:,} training steps"
    dots = embed(
        f"dots-{name}",
        seed_dots(spreads[-1], metric, variants),
        f"{last}: a dot for each seed, a line for the interval.",
    )
    return Panel(title, curve, dots, tuple(own))


def _spread(figure: Figure, step: int) -> Spread:
    half = figure.interval.high - figure.interval.mean
    return Spread(
        figure.variant,
        step,
        figure.interval.mean,
        None if math.isnan(half) else half,
        figure.values,
    )


def direction(metric: str) -> str:
    """Return smaller or larger, whichever is better."""
    return "smaller" if direction_of(metric) == "min" else "larger"


def number(value: float) -> str:
    """Return a figure as it stands in a table."""
    return f"{value:.4g}"


def interval_text(figure: Figure) -> str:
    """Return the confidence interval, empty for one seed."""
    low, high = figure.interval.low, figure.interval.high
    return "" if math.isnan(low) else f"{low:.4g} to {high:.4g}"


def verdict(figure: Figure, metric: str) -> str:
    """Return better, worse, or within the noise; empty for the variant that all are compared with."""
    difference = figure.difference
    if difference is None:
        return ""
    if not difference.is_beyond_noise():
        return "within the noise"
    return "better" if (difference.mean < 0) == (direction_of(metric) == "min") else "worse"
