from .builders import LossPoint as LossPoint
from .builders import class_history as class_history
from .builders import class_map as class_map
from .builders import loss_curve as loss_curve
from .data import ClassCard as ClassCard
from .data import ClassSheet as ClassSheet
from .data import CopyRow as CopyRow
from .data import FeatureMap as FeatureMap
from .data import LossCurve as LossCurve
from .data import MetricRow as MetricRow
from .data import ObjectiveHistory as ObjectiveHistory
from .data import ReportData as ReportData
from .data import SampleSheet as SampleSheet
from .data import StageTime as StageTime
from .data import SubsetRow as SubsetRow
from .data import Thumbnail as Thumbnail
from .published import Published as Published
from .published import published_for as published_for
from .render import render_report as render_report
from .sheets import Sheet as Sheet
from .sheets import image_sheet as image_sheet

__all__ = [
    "ClassCard",
    "ClassSheet",
    "CopyRow",
    "FeatureMap",
    "LossCurve",
    "LossPoint",
    "MetricRow",
    "ObjectiveHistory",
    "Published",
    "ReportData",
    "SampleSheet",
    "Sheet",
    "StageTime",
    "SubsetRow",
    "Thumbnail",
    "class_history",
    "class_map",
    "image_sheet",
    "loss_curve",
    "published_for",
    "render_report",
]
