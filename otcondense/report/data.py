"""The data of a report: plain arrays and numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int, UInt8

from otcondense.report.answer import Answer
from otcondense.report.published import Published


@dataclass(frozen=True)
class MetricRow:
    """Metrics of one model, trained on the subset of one method for one length."""

    model: str
    method: str
    steps: int
    """Training steps."""
    values: Mapping[str, float]
    """By the names of `otcondense.evaluation.registry.METRICS`; the report skips other names."""
    num_samples: int
    num_held_out: int
    encoder: str
    encoder_sha256: str


@dataclass(frozen=True)
class SubsetRow:
    """Metrics of the chosen images of one method, without training."""

    method: str
    num_images: int
    num_held_out: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Thumbnail:
    """A small picture of one image."""

    image_id: str
    data: bytes
    """PNG or JPEG, at most `THUMBNAIL_SIDE` pixels on each side."""


@dataclass(frozen=True)
class ClassSheet:
    """Chosen images of one class by several methods."""

    class_name: str
    images: Mapping[str, Sequence[Thumbnail]]
    """By method, in the order of choice; the first ones, if there are many."""
    num_chosen: Mapping[str, int] = field(default_factory=dict)
    """By method, all chosen images of the class, where it is more than are shown."""


@dataclass(frozen=True)
class ClassCard:
    """The choice of one method in one class."""

    class_name: str
    method: str
    num_images: int
    """In the class."""
    num_chosen: int
    left_out_share: float
    """Share of the mass of the class that no chosen image represents."""
    objective: float | None
    lower_bound: float | None
    distances: Mapping[str, float] = field(default_factory=dict)
    """By model, Fréchet distance of its samples of this class at its last checkpoint."""


@dataclass(frozen=True)
class CopyRow:
    """The copies in one class."""

    class_name: str
    num_images: int
    """In the class."""
    exact: int
    """Images of equal bytes as another one."""
    near: int
    """Further images at most `threshold` from another one."""
    groups: int
    threshold: float
    neighbour_distance: float
    """Median distance to the fifth nearest image, from which the threshold is."""
    held_out: int
    """Images left out because they are also held out."""
    examples: tuple[str, ...] = ()
    """The largest groups in words."""


@dataclass(frozen=True)
class SampleSheet:
    """Samples of one model, each with the nearest real images in feature space."""

    model: str
    method: str
    steps: int
    samples: UInt8[np.ndarray, "n c h w"]
    nearest_training: UInt8[np.ndarray, "n c h w"]
    nearest_held_out: UInt8[np.ndarray, "n c h w"]
    training_distances: Float[np.ndarray, " n"]
    held_out_distances: Float[np.ndarray, " n"]
    prompts: Sequence[str] = ()
    """Text that each sample was made from; none for a model of classes."""


@dataclass(frozen=True)
class FeatureMap:
    """The features of one class and which of its images each method chose."""

    class_name: str
    features: Float[np.ndarray, "n d"]
    chosen: Mapping[str, Int[np.ndarray, " _"]]
    """Rows by method."""
    left_out: Mapping[str, Int[np.ndarray, " _"]] = field(default_factory=dict)
    """By method, rows that no chosen image represents."""
    assignment: Mapping[str, Int[np.ndarray, " n"]] = field(default_factory=dict)
    """By method, for each image the row of the chosen image that represents it, -1 if it is left
    out; drawn as spokes."""


@dataclass(frozen=True)
class ObjectiveHistory:
    """Objective of one class's selection after each step."""

    class_name: str
    method: str
    objective: Float[np.ndarray, " t"]
    stages: tuple[str, ...]
    """Stage of each step, such as greedy or swap."""
    lower_bound: float | None = None
    """Proven bound on the final objective; None or nan if there is none."""

    @property
    def bound(self) -> float | None:
        """The lower bound if there is one."""
        if self.lower_bound is None or math.isnan(self.lower_bound):
            return None
        return self.lower_bound


@dataclass(frozen=True)
class LossCurve:
    """Training loss of one model on one method's subset."""

    model: str
    method: str
    steps: Int[np.ndarray, " t"]
    loss: Float[np.ndarray, " t"]


@dataclass(frozen=True)
class StageTime:
    """Duration of a stage of the run."""

    stage: str
    seconds: float
    note: str = ""


@dataclass(frozen=True)
class ReportData:
    """All data of a report; it skips sections without data."""

    title: str
    unit: str = "class"
    """What images were chosen from, for one: a class or a group."""
    answer: Answer | None = None
    """What the run found; the report begins with it."""
    summary: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    """A few numbers for the top of the page, by name."""
    metrics: tuple[MetricRow, ...] = ()
    subsets: tuple[SubsetRow, ...] = ()
    sample_size: str = ""
    """Size of the samples, in which chosen images are measured too, such as 32x32."""
    class_sheets: tuple[ClassSheet, ...] = ()
    class_cards: tuple[ClassCard, ...] = ()
    copies: tuple[CopyRow, ...] = ()
    """Classes with copies."""
    sample_sheets: tuple[SampleSheet, ...] = ()
    feature_maps: tuple[FeatureMap, ...] = ()
    histories: tuple[ObjectiveHistory, ...] = ()
    histories_note: str = ""
    """Which classes have no history, and why; empty if all have one."""
    loss_curves: tuple[LossCurve, ...] = ()
    stage_times: tuple[StageTime, ...] = ()
    published: tuple[Published, ...] = ()
    """Published figures for the same model, size and number of images."""
    protocol_differences: tuple[str, ...] = ()
    """How this run's protocol differs from that of the published figures."""
    config_yaml: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def methods(self) -> tuple[str, ...]:
        """All methods in the order of their first appearance, which sets colours and markers."""
        names = [row.method for row in self.metrics]
        names += [row.method for row in self.subsets]
        for sheet in self.class_sheets:
            names += sheet.images
        names += [sheet.method for sheet in self.sample_sheets]
        for each in self.feature_maps:
            names += [*each.chosen, *each.left_out]
        names += [each.method for each in self.histories]
        names += [each.method for each in self.loss_curves]
        return tuple(dict.fromkeys(names))
