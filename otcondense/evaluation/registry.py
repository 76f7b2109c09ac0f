"""The table of metrics: name, title, direction, group and function of each.

Evaluation computes the metrics of this table. The table that `otcondense evaluate` prints, the
report, sweeps and comparisons read their metrics from it.

A new metric is its function (in `figures.py`, `denoising.py` or `adm.py`), one entry here, and one
row of `tests/unit/evaluation/test_registry.py`.
"""

import math
import pkgutil
from dataclasses import dataclass
from typing import Any, Literal

Direction = Literal["lower", "higher"]
"""Which values are better."""
Group = Literal["samples", "distribution", "network", "subset", "copying", "denoising", "adm"]
"""What a metric is computed for:

- samples: samples, through the main network only;
- distribution: samples and subsets, through every network;
- network: samples, through each further network;
- subset: subsets themselves, through every network;
- copying: samples and the images that the model was trained on, through the main network;
- denoising: the averaged model itself, on held-out and chosen images;
- adm: samples, by the protocol of ADM's evaluator.
"""

Bounds = tuple[float, float]
"""Least and greatest possible value of a quantity."""
ANY: Bounds = (-math.inf, math.inf)
SHARE: Bounds = (0.0, 1.0)
SIZE: Bounds = (0.0, math.inf)
"""Of distances, losses and counts."""

SUBSET_PREFIX = "subset_"
"""Prefix of the metrics of the subset itself, in the results of trials that train a model."""

FIGURES = "otcondense.evaluation.figures"
DENOISING = "otcondense.evaluation.denoising"
ADM = "otcondense.evaluation.adm"


@dataclass(frozen=True)
class Metric:
    """One metric: what it is called, which values are better, and how it is computed."""

    name: str
    """Key of its value in all result files."""
    title: str
    """Heading of its column."""
    direction: Direction
    group: Group
    function: str
    """`module:function` of a `FeatureSets` (of an `AdmSets` in group adm, of `DenoisingLosses` in
    group denoising), None if the sets do not have what it needs."""
    digits: int
    """Decimals in tables."""
    meaning: str
    error: str | None = None
    """`module:function` of its standard error, or of its spread over parts; stored as NAME_std."""
    floor: float | None = None
    """If lower is better: all values below this one are equally good."""
    bounds: Bounds = ANY
    """Least and greatest value that it can have; no axis or interval goes beyond them."""
    in_report: bool = True
    """Whether tables of the report have a column for it."""
    in_summary: bool = False
    """Whether the table that a run prints has a column for it."""

    @property
    def error_name(self) -> str:
        """Key of its standard error in result files."""
        return f"{self.name}_std"

    @property
    def arrow(self) -> str:
        """The direction as an arrow."""
        return "↓" if self.direction == "lower" else "↑"

    @property
    def phrase(self) -> str:
        """The direction in words."""
        return direction_phrase(self.direction)

    def compute(self, sets: Any) -> float | None:
        """Return its value, None if the sets do not have what it needs."""
        value: float | None = pkgutil.resolve_name(self.function)(sets)
        return value

    def compute_error(self, sets: Any) -> float | None:
        """Return its standard error, None if it has none."""
        if self.error is None:
            return None
        value: float | None = pkgutil.resolve_name(self.error)(sets)
        return value

    def text(self, value: float) -> str:
        """Return a value as tables show it."""
        return f"{value:.{self.digits}f}"

    def rank(self, value: float) -> float:
        """Return a key to sort values by, best first; values that look equal are equal."""
        bounded = value if self.floor is None else max(value, self.floor)
        shown = float(self.text(bounded))
        return shown if self.direction == "lower" else -shown


_LIST = (
    Metric(
        name="fid",
        title="FID",
        direction="lower",
        group="samples",
        function=f"{FIGURES}:fid",
        error=f"{FIGURES}:frechet_distance_error",
        digits=2,
        bounds=SIZE,
        meaning="Fréchet distance between the features of the samples and of the held-out images; "
        "through Inception by torch-fidelity.",
        in_summary=True,
    ),
    Metric(
        name="frechet_distance",
        title="FD",
        direction="lower",
        group="distribution",
        function=f"{FIGURES}:frechet_distance",
        error=f"{FIGURES}:frechet_distance_error",
        digits=2,
        bounds=SIZE,
        meaning="Fréchet distance between features, as FID, by our own function; also of subsets "
        "without training.",
        in_summary=True,
    ),
    Metric(
        name="kid",
        title="KID",
        direction="lower",
        group="distribution",
        function=f"{FIGURES}:kid",
        error=f"{FIGURES}:kid_error",
        digits=4,
        meaning="Kernel distance by torch-fidelity, the mean over random subsets.",
        in_report=False,
    ),
    Metric(
        name="mind",
        title="MIND",
        direction="lower",
        group="distribution",
        function=f"{FIGURES}:mind",
        digits=2,
        bounds=SIZE,
        meaning="Sliced Wasserstein distance over 1,000 random directions: it compares whole "
        "distributions, so that equal means and covariances alone do not make it small.",
    ),
    Metric(
        name="cmmd",
        title="CMMD",
        direction="lower",
        group="network",
        function=f"{FIGURES}:cmmd",
        digits=3,
        meaning="Kernel distance of unit vectors: it assumes no normal distribution and is "
        "unbiased for few images.",
    ),
    Metric(
        name="inception_score",
        title="IS",
        direction="higher",
        group="samples",
        function=f"{FIGURES}:inception_score",
        error=f"{FIGURES}:inception_score_error",
        digits=2,
        bounds=(1.0, math.inf),
        meaning="Inception Score: confident and varied classes; it sees neither copies nor the "
        "variety within a class.",
        in_summary=True,
    ),
    Metric(
        name="precision",
        title="Precision",
        direction="higher",
        group="distribution",
        function=f"{FIGURES}:precision",
        error=f"{FIGURES}:precision_error",
        digits=3,
        bounds=SHARE,
        meaning="Share of samples in the neighbourhood of a held-out image: do samples look real?",
        in_summary=True,
    ),
    Metric(
        name="recall",
        title="Recall",
        direction="higher",
        group="distribution",
        function=f"{FIGURES}:recall",
        error=f"{FIGURES}:recall_error",
        digits=3,
        bounds=SHARE,
        meaning="Share of held-out images in the neighbourhood of a sample: is the variety there?",
        in_summary=True,
    ),
    Metric(
        name="density",
        title="Density",
        direction="higher",
        group="distribution",
        function=f"{FIGURES}:density",
        digits=3,
        bounds=SIZE,
        meaning="Mean number of neighbourhoods of held-out images that a sample lies in, divided "
        "by k; 1 is expected of the true distribution.",
        in_report=False,
    ),
    Metric(
        name="coverage",
        title="Coverage",
        direction="higher",
        group="distribution",
        function=f"{FIGURES}:coverage",
        error=f"{FIGURES}:coverage_error",
        digits=3,
        bounds=SHARE,
        meaning="Share of held-out images with a sample in their neighbourhood; more robust "
        "against outliers than recall.",
        in_summary=True,
    ),
    Metric(
        name="duplicate_share",
        title="Duplicates",
        direction="lower",
        group="subset",
        function=f"{FIGURES}:duplicate_share",
        digits=3,
        bounds=SHARE,
        meaning="Share of chosen images with a near duplicate among the chosen images.",
    ),
    Metric(
        name="leakage_share",
        title="Leakage",
        direction="lower",
        group="subset",
        function=f"{FIGURES}:leakage_share",
        digits=3,
        bounds=SHARE,
        meaning="Share of chosen images with a near duplicate among the held-out images, which "
        "makes all other metrics look too good.",
    ),
    Metric(
        name="adm_fid",
        title="FID (ADM)",
        direction="lower",
        group="adm",
        function=f"{ADM}:adm_fid",
        digits=2,
        bounds=SIZE,
        meaning="FID by ADM's protocol, against its reference statistics: the number that papers "
        "on ImageNet report.",
    ),
    Metric(
        name="adm_inception_score",
        title="IS (ADM)",
        direction="higher",
        group="adm",
        function=f"{ADM}:adm_inception_score",
        digits=1,
        bounds=(1.0, math.inf),
        meaning="Inception Score by ADM's protocol: over parts of 5,000 samples in file order.",
    ),
    Metric(
        name="adm_sfid",
        title="sFID (ADM)",
        direction="lower",
        group="adm",
        function=f"{ADM}:adm_sfid",
        digits=2,
        bounds=SIZE,
        meaning="FID (ADM) on spatial features: do layouts look real?",
    ),
    Metric(
        name="adm_precision",
        title="Prec. (ADM)",
        direction="higher",
        group="adm",
        function=f"{ADM}:adm_precision",
        digits=2,
        bounds=SHARE,
        meaning="Precision by ADM's protocol; in half precision unless the configuration says "
        "otherwise.",
    ),
    Metric(
        name="adm_recall",
        title="Rec. (ADM)",
        direction="higher",
        group="adm",
        function=f"{ADM}:adm_recall",
        digits=2,
        bounds=SHARE,
        meaning="Recall by ADM's protocol.",
    ),
    Metric(
        name="copy_share",
        title="Copy share",
        direction="lower",
        group="copying",
        function=f"{FIGURES}:copy_share",
        error=f"{FIGURES}:copy_share_error",
        digits=3,
        bounds=SHARE,
        meaning="Share of samples that are nearer to a chosen image than to a held-out image, for "
        "sets of equal size: 0.5 means no copying, 1 means that all samples are copies.",
        floor=0.5,
        in_summary=True,
    ),
    Metric(
        name="near_copy_share",
        title="Near copies",
        direction="lower",
        group="copying",
        function=f"{FIGURES}:near_copy_share",
        digits=3,
        bounds=SHARE,
        meaning="Share of samples whose nearest chosen image is less than a third as far away as "
        "the second nearest: the model repeats single images.",
    ),
    Metric(
        name="copy_distance_ratio",
        title="Distance ratio",
        direction="higher",
        group="copying",
        function=f"{FIGURES}:copy_distance_ratio",
        digits=3,
        bounds=SIZE,
        meaning="Median of the distance to the nearest chosen image divided by the distance to the "
        "nearest held-out image; below 1, samples lean towards the chosen images.",
    ),
    Metric(
        name="authenticity",
        title="Authentic",
        direction="higher",
        group="copying",
        function=f"{FIGURES}:authenticity",
        digits=3,
        bounds=SHARE,
        meaning="Share of samples that are farther from their nearest chosen image than that image "
        "is from its own nearest neighbour.",
    ),
    Metric(
        name="copying_test",
        title="C_T",
        direction="higher",
        group="copying",
        function=f"{FIGURES}:copying_test",
        digits=1,
        meaning="Number of standard errors by which samples are farther from the chosen images "
        "than held-out images are; far below 0 means copying.",
    ),
    Metric(
        name="nearest_training_distance",
        title="Nearest chosen",
        direction="higher",
        group="copying",
        function=f"{FIGURES}:nearest_training_distance",
        digits=3,
        bounds=SIZE,
        meaning="Median distance from a sample to its nearest chosen image.",
        in_report=False,
    ),
    Metric(
        name="held_out_loss",
        title="Held-out loss",
        direction="lower",
        group="denoising",
        function=f"{DENOISING}:held_out_loss",
        digits=4,
        bounds=SIZE,
        meaning="Mean denoising error of the averaged model on held-out images; it turns up while "
        "the loss on the chosen images still falls: the model begins to memorise.",
    ),
    Metric(
        name="training_loss",
        title="Training loss",
        direction="lower",
        group="denoising",
        function=f"{DENOISING}:training_loss",
        digits=4,
        bounds=SIZE,
        meaning="The same error on the chosen images.",
        in_report=False,
    ),
    Metric(
        name="loss_gap",
        title="Loss gap",
        direction="lower",
        group="denoising",
        function=f"{DENOISING}:loss_gap",
        digits=4,
        meaning="Held-out loss minus training loss: by how much the model knows the chosen images "
        "better than others.",
    ),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _LIST}
"""Every metric by its name, in the order of tables."""


def metrics_of(*groups: Group) -> dict[str, Metric]:
    """Return the metrics of some groups by name, in the order of tables."""
    return {name: metric for name, metric in METRICS.items() if metric.group in groups}


def bounds_of(name: str) -> Bounds:
    """Return the bounds of a quantity by its name in any result file.

    The name can have the judge before it (JUDGE.precision) or say that it is of the subset itself
    (subset_precision). Everything else called a share is one.
    """
    plain = name.rpartition(".")[2]
    for each in (plain, plain.removeprefix(SUBSET_PREFIX)):
        if each in METRICS:
            return METRICS[each].bounds
    return SHARE if plain.endswith("_share") else ANY


def direction_phrase(direction: Direction) -> str:
    """Return a direction in words."""
    return f"{direction} is better"


def sign(direction: Direction) -> int:
    """Return the factor that makes lower values better: 1 or -1."""
    return 1 if direction == "lower" else -1
