"""One self-contained HTML report from plain data."""

from otcondense.report.data import (
    ClassCard,
    ClassSheet,
    FeatureMap,
    LossCurve,
    MetricRow,
    ObjectiveHistory,
    ReportData,
    SampleSheet,
    StageTime,
    SubsetRow,
)
from otcondense.report.published import Published, published_for
from otcondense.report.render import render_report
from otcondense.report.sheets import Sheet, image_sheet

__all__ = [
    "ClassCard",
    "ClassSheet",
    "FeatureMap",
    "LossCurve",
    "MetricRow",
    "ObjectiveHistory",
    "Published",
    "ReportData",
    "SampleSheet",
    "Sheet",
    "StageTime",
    "SubsetRow",
    "image_sheet",
    "published_for",
    "render_report",
]
