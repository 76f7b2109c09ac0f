"""One self-contained HTML report from plain data."""

from otcondense.report.data import (
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
from otcondense.report.render import render_report
from otcondense.report.sheets import Sheet, image_sheet

__all__ = [
    "ClassSheet",
    "FeatureMap",
    "LossCurve",
    "MetricRow",
    "ObjectiveHistory",
    "ReportData",
    "SampleSheet",
    "Sheet",
    "StageTime",
    "SubsetRow",
    "image_sheet",
    "render_report",
]
