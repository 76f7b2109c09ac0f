"""Renders report data to one HTML file that needs no network and no other file."""

import base64
import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool

from otcondense.counts import plural_of
from otcondense.datasets.thumbnails import THUMBNAIL_SIDE, media_type
from otcondense.evaluation.registry import metrics_of
from otcondense.report.data import ClassCard, ClassSheet, ReportData, SampleSheet, Thumbnail
from otcondense.report.embed import Plot, embed, history_plot, loss_plots, map_plot
from otcondense.report.orders import order_statements
from otcondense.report.page import render_page
from otcondense.report.plots import colour_of, metric_curves
from otcondense.report.published import Published
from otcondense.report.sheets import Sheet, image_sheet, row_length
from otcondense.report.tables import COPYING, QUALITY, metric_tables, subset_table
from otcondense.selection.gap import gap
from otcondense.shares import gap_text, percent

ADM = tuple(metrics_of("adm").values())
"""Columns of the published figures."""
STRIP_WIDTH = 760
"""Most pixels of a row of samples."""
STRIP_TILE = 40
"""Least side of a sample in pixels."""


@dataclass(frozen=True)
class Picture:
    """A picture in the page."""

    source: str
    """PNG or JPEG as a data URI."""
    width: int
    height: int
    alt: str


def render_report(data: ReportData) -> str:
    """Return the report as one HTML page.

    Equal data give equal text. All data is escaped; the policy of the page forbids it to load
    anything and to run any scripts but its own two.

    Args:
        data: what to show; the page skips sections without data.
    """
    return render_page("otcondense.report", "report.html.j2", _context(data))


def _context(data: ReportData) -> dict[str, Any]:
    methods = data.methods
    sheets = data.class_sheets
    legend = {method: colour_of(method, methods) for method in methods}
    published = [(row, _published_cells(row)) for row in data.published]
    classes = {card.class_name for card in data.class_cards}
    seconds = [each.seconds for each in data.stage_times]
    unit = data.unit
    maps = [map_plot(each, at, methods, unit) for at, each in enumerate(data.feature_maps)]
    histories = [history_plot(each, at, methods, unit) for at, each in enumerate(data.histories)]
    return {
        "data": data,
        "unit": data.unit,
        "units": plural_of(data.unit),
        "legend": legend,
        "tables": metric_tables(data.metrics),
        "copying_tables": metric_tables(data.metrics, COPYING),
        "meanings": QUALITY,
        "copying_meanings": COPYING,
        "cards": list(map(_card, data.class_cards)),
        "card_models": _names(card.distances for card in data.class_cards),
        "published": published,
        "published_metrics": ADM,
        "order": order_statements(data.metrics),
        "subset_table": subset_table(data.subsets, data.sample_size) if data.subsets else None,
        "curves": _curves(data),
        "num_classes": len(classes),
        "class_rows": list(map(_class_row, sheets)),
        "class_methods": _names(sheet.images for sheet in sheets),
        "sample_sheets": list(map(_sample_view, data.sample_sheets)),
        "maps": maps,
        "histories": histories,
        "losses": loss_plots(data.loss_curves, methods),
        "longest_stage": max(seconds, default=0.0) or 1.0,
        "total_seconds": sum(seconds),
    }


def _names(mappings: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the keys of all mappings, each once, in the order of their first appearance."""
    return list(dict.fromkeys(itertools.chain.from_iterable(mappings)))


def _curves(data: ReportData) -> dict[str, list[Plot]]:
    """Return for each model with several training lengths a figure for each metric."""
    found: dict[str, list[Plot]] = {}
    for table in (*metric_tables(data.metrics), *metric_tables(data.metrics, COPYING)):
        if len(table.groups) < 2:
            continue
        rows = [row for row in data.metrics if row.model == table.name]
        plots = found.setdefault(table.name, [])
        number = list(found).index(table.name)
        for metric in table.metrics:
            description = (
                f"{metric.title} of {table.name} over training steps, one line for each method; "
                "the tables have the numbers."
            )
            figure = metric_curves(rows, metric, data.methods)
            plots.append(embed(f"curve-{number}-{metric.name}", figure, description))
    return found


def _card(card: ClassCard) -> dict[str, Any]:
    objective = ""
    if card.objective is not None and np.isfinite(card.objective):
        objective = f"{card.objective:.4g}"
    return {
        "class_name": card.class_name,
        "method": card.method,
        "count": f"{card.num_chosen:,} of {card.num_images:,}",
        "left_out": percent(card.left_out_share),
        "objective": objective,
        "gap": _gap(card),
        "distances": {model: f"{value:.3g}" for model, value in card.distances.items()},
    }


def _gap(card: ClassCard) -> str:
    """Return the gap to the lower bound as a share of the objective; empty without a bound."""
    if card.lower_bound is None or card.objective is None:
        return ""
    share = gap(card.objective, card.lower_bound)
    return gap_text(share) if math.isfinite(share) else ""


def _published_cells(row: Published) -> list[str]:
    return [_figure(row.values, metric.name) for metric in ADM]


def _figure(values: Mapping[str, float], name: str) -> str:
    return "" if name not in values else f"{values[name]:g}"


def _class_row(sheet: ClassSheet) -> dict[str, Any]:
    pictures, more = {}, {}
    for method, images in sheet.images.items():
        if images:
            pictures[method] = [_thumbnail(each, rank + 1) for rank, each in enumerate(images)]
            more[method] = sheet.num_chosen.get(method, 0) - len(images)
    return {"name": sheet.class_name, "pictures": pictures, "more": more}


def _thumbnail(each: Thumbnail, rank: int) -> Picture:
    text = base64.b64encode(each.data).decode("ascii")
    source = f"data:{media_type(each.data)};base64,{text}"
    return Picture(source, THUMBNAIL_SIDE, THUMBNAIL_SIDE, f"choice {rank}: {each.image_id}")


def _sample_view(sheet: SampleSheet) -> dict[str, Any]:
    copies = sheet.training_distances < sheet.held_out_distances
    name = f"{sheet.model}, {sheet.method}, {sheet.steps:,} steps"

    length = row_length(sheet.samples, STRIP_WIDTH, STRIP_TILE)
    starts = range(0, len(sheet.samples), length)
    strips = [_strip(sheet, name, slice(start, start + length), copies) for start in starts]

    distances = np.maximum(sheet.held_out_distances, np.finfo(float).tiny)
    ratio = float(np.median(sheet.training_distances / distances))
    return {
        "name": name,
        "strips": strips,
        "copies": int(copies.sum()),
        "count": len(sheet.samples),
        "ratio": f"{ratio:.2f}",
        "prompts": sheet.prompts,
    }


def _strip(
    sheet: SampleSheet, name: str, part: slice, copies: Bool[np.ndarray, " n"]
) -> dict[str, Picture]:
    """Return three rows of pictures; the pictures of a column belong together."""
    framed = copies[part]
    samples = image_sheet(sheet.samples[part], width=STRIP_WIDTH, tile=STRIP_TILE, framed=framed)
    chosen = image_sheet(sheet.nearest_training[part], width=STRIP_WIDTH, tile=STRIP_TILE)
    held_out = image_sheet(sheet.nearest_held_out[part], width=STRIP_WIDTH, tile=STRIP_TILE)

    count = len(framed)
    frames = f"{int(framed.sum())} framed as nearer to a chosen image"
    return {
        "Sample": _picture(samples, f"{count} samples of {name}; {frames}"),
        "Nearest chosen": _picture(chosen, f"{count} chosen images nearest to the samples above"),
        "Nearest held-out": _picture(
            held_out, f"{count} held-out images nearest to the samples above"
        ),
    }


def _picture(sheet: Sheet, alt: str) -> Picture:
    text = base64.b64encode(sheet.png).decode("ascii")
    return Picture(f"data:image/png;base64,{text}", sheet.width, sheet.height, alt)
