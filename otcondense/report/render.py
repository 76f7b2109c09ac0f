"""Turns report data into one HTML file that needs nothing else: no network, no other file."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool

from otcondense.report.data import ClassCard, ClassSheet, ReportData, SampleSheet
from otcondense.report.embed import Plot, embed, history_plot, loss_plots, map_plot
from otcondense.report.page import render_page
from otcondense.report.plots import colour_of, metric_curves
from otcondense.report.sheets import Sheet, image_sheet, row_length
from otcondense.report.tables import COPYING, METRICS, metric_tables, order_statements, subset_table

ADM = tuple(metric for metric in METRICS if metric.key.startswith("adm_"))
CLASS_WIDTH, CLASS_TILE = 440, 32
"""Pixels of a row of chosen images, and least side of an image there."""
STRIP_WIDTH, STRIP_TILE = 760, 40
"""The same for rows of samples."""


@dataclass(frozen=True)
class Picture:
    """An image sheet as it stands in the page."""

    source: str
    """PNG as a data URI."""
    width: int
    height: int
    alt: str


def render_report(data: ReportData) -> str:
    """Return the report as one HTML page.

    The same data give the same text. Everything that comes from data is escaped; the page's own policy forbids it to load
    anything or to run any script but its own two.

    Args:
        data: what to show; sections without data are left out.
    """
    return render_page("otcondense.report", "report.html.j2", _context(data))


def _context(data: ReportData) -> dict[str, Any]:
    methods = data.methods
    return {
        "data": data,
        "legend": {method: colour_of(method, methods) for method in methods},
        "tables": metric_tables(data.metrics),
        "copying_tables": metric_tables(data.metrics, COPYING),
        "meanings": METRICS,
        "copying_meanings": COPYING,
        "cards": [_card(each) for each in data.class_cards],
        "card_models": list(
            dict.fromkeys(model for each in data.class_cards for model in each.distances)
        ),
        "published": [
            (row, [_figure(row.values, metric.key) for metric in ADM]) for row in data.published
        ],
        "published_metrics": ADM,
        "order": order_statements(data.metrics),
        "subset_table": subset_table(data.subsets) if data.subsets else None,
        "curves": _curves(data),
        "num_classes": len({card.class_name for card in data.class_cards}),
        "class_rows": [_class_row(sheet) for sheet in data.class_sheets],
        "class_methods": list(
            dict.fromkeys(name for sheet in data.class_sheets for name in sheet.images)
        ),
        "sample_sheets": [_sample_view(sheet) for sheet in data.sample_sheets],
        "maps": [map_plot(each, number, methods) for number, each in enumerate(data.feature_maps)],
        "histories": [
            history_plot(each, number, methods) for number, each in enumerate(data.histories)
        ],
        "losses": loss_plots(data.loss_curves, methods),
        "longest_stage": max((each.seconds for each in data.stage_times), default=0.0) or 1.0,
        "total_seconds": sum(each.seconds for each in data.stage_times),
    }


def _curves(data: ReportData) -> dict[str, list[Plot]]:
    """Return for each model with more than one training length a figure for each metric."""
    found: dict[str, list[Plot]] = {}
    for table in (*metric_tables(data.metrics), *metric_tables(data.metrics, COPYING)):
        rows = [row for row in data.metrics if row.model == table.name]
        if len(table.groups) < 2:
            continue
        plots = found.setdefault(table.name, [])
        for metric in table.metrics:
            description = f"{metric.label} of {table.name} over training steps, a line for each method; the figures are in the tables."
            figure = metric_curves(rows, metric, data.methods)
            plots.append(
                embed(f"curve-{list(found).index(table.name)}-{metric.key}", figure, description)
            )
    return found


def _card(card: ClassCard) -> dict[str, Any]:
    bound, objective = card.lower_bound, card.objective
    proven = bound is not None and objective is not None and np.isfinite(bound) and objective != 0
    return {
        "class_name": card.class_name,
        "method": card.method,
        "count": f"{card.num_chosen:,} of {card.num_images:,}",
        "left_out": f"{card.left_out_share:.1%}",
        "objective": "" if objective is None or not np.isfinite(objective) else f"{objective:.4g}",
        "gap": f"{(objective - bound) / abs(objective):.1%}"
        if proven and objective is not None and bound is not None
        else "",
        "distances": {model: f"{value:.3g}" for model, value in card.distances.items()},
    }


def _figure(values: Mapping[str, float], key: str) -> str:
    return "" if key not in values else f"{values[key]:g}"


def _class_row(sheet: ClassSheet) -> dict[str, Any]:
    pictures = {
        method: _picture(
            image_sheet(images, width=CLASS_WIDTH, tile=CLASS_TILE),
            f"{len(images)} images of class {sheet.class_name} chosen by {method}",
        )
        for method, images in sheet.images.items()
        if len(images)
    }
    return {"name": sheet.class_name, "pictures": pictures}


def _sample_view(sheet: SampleSheet) -> dict[str, Any]:
    copies = sheet.training_distances < sheet.held_out_distances
    name = f"{sheet.model}, {sheet.method}, {sheet.steps:,} steps"
    length = row_length(sheet.samples, STRIP_WIDTH, STRIP_TILE)
    strips = [
        _strip(sheet, name, slice(start, start + length), copies)
        for start in range(0, len(sheet.samples), length)
    ]
    ratio = float(
        np.median(
            sheet.training_distances / np.maximum(sheet.held_out_distances, np.finfo(float).tiny)
        )
    )
    return {
        "name": name,
        "strips": strips,
        "copies": int(copies.sum()),
        "count": len(sheet.samples),
        "ratio": f"{ratio:.2f}",
    }


def _strip(
    sheet: SampleSheet, name: str, part: slice, copies: Bool[np.ndarray, " n"]
) -> dict[str, Picture]:
    """Return three rows of pictures whose columns belong together."""
    rows = {
        "Sample": (
            sheet.samples,
            f"samples of {name}; {int(copies[part].sum())} framed as nearer to a chosen image",
            copies[part],
        ),
        "Nearest chosen": (
            sheet.nearest_training,
            "chosen images nearest to the samples above",
            None,
        ),
        "Nearest held-out": (
            sheet.nearest_held_out,
            "held-out images nearest to the samples above",
            None,
        ),
    }
    return {
        label: _picture(
            image_sheet(images[part], width=STRIP_WIDTH, tile=STRIP_TILE, framed=framed),
            f"{len(images[part])} {alt}",
        )
        for label, (images, alt, framed) in rows.items()
    }


def _picture(sheet: Sheet, alt: str) -> Picture:
    return Picture(
        f"data:image/png;base64,{base64.b64encode(sheet.png).decode('ascii')}",
        sheet.width,
        sheet.height,
        alt,
    )
