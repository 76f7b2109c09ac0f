"""Every metric of the registry: its function exists, and better sets get a better value."""

import inspect
import pkgutil

import numpy as np
import pytest
import torch

from otcondense.evaluation import (
    AdmReference,
    AdmSamples,
    DenoisingLosses,
    EncodedImages,
    EvaluationConfig,
    adm,
    denoising,
    feature_statistics,
    figures,
)
from otcondense.evaluation.adm import AdmSets
from otcondense.evaluation.figures import FeatureSets
from otcondense.evaluation.metrics import compute_group
from otcondense.evaluation.registry import METRICS, Metric, metrics_of, sign

COUNT = 40
WIDTH = 6
CONFIG = EvaluationConfig(inception_score_splits=2, kid_subsets=5)


def normal(seed: int, shift: float = 0.0, scale: float = 1.0) -> torch.Tensor:
    generator = np.random.default_rng(seed)
    return torch.from_numpy(generator.normal(shift, scale, (COUNT, WIDTH)))


HELD_OUT = normal(1)
TRAINING = normal(2)
FRESH = normal(3)
FAR = normal(3, shift=20.0)
COPIES = TRAINING + 1e-3
DUPLICATES = torch.cat([FRESH[:20], FRESH[:20]])
CONFIDENT = 20 * torch.eye(WIDTH, dtype=torch.float64).repeat(COUNT // WIDTH + 1, 1)[:COUNT]
UNDECIDED = torch.zeros(COUNT, WIDTH, dtype=torch.float64)


def sets(samples: torch.Tensor, logits: torch.Tensor | None = None) -> FeatureSets:
    return FeatureSets(
        EncodedImages(samples, logits), EncodedImages(HELD_OUT, None), CONFIG, TRAINING
    )


def adm_sets(samples: torch.Tensor, logits: torch.Tensor = CONFIDENT) -> AdmSets:
    statistics = feature_statistics(HELD_OUT)
    reference = AdmReference(pool=statistics, spatial=statistics, path="reference.npz")
    outputs = AdmSamples(samples, logits, spatial=samples)
    return AdmSets(outputs, reference, HELD_OUT, half=False)


ROWS = {
    "fid": (sets(FRESH), sets(FAR)),
    "frechet_distance": (sets(FRESH), sets(FAR)),
    "kid": (sets(FRESH), sets(FAR)),
    "mind": (sets(FRESH), sets(FAR)),
    "cmmd": (sets(FRESH), sets(FAR)),
    "inception_score": (sets(FRESH, CONFIDENT), sets(FRESH, UNDECIDED)),
    "precision": (sets(FRESH), sets(FAR)),
    "recall": (sets(FRESH), sets(FAR)),
    "density": (sets(FRESH), sets(FAR)),
    "coverage": (sets(FRESH), sets(FAR)),
    "duplicate_share": (sets(FRESH), sets(DUPLICATES)),
    "leakage_share": (sets(FRESH), sets(HELD_OUT)),
    "adm_fid": (adm_sets(FRESH), adm_sets(FAR)),
    "adm_inception_score": (adm_sets(FRESH), adm_sets(FRESH, UNDECIDED)),
    "adm_sfid": (adm_sets(FRESH), adm_sets(FAR)),
    "adm_precision": (adm_sets(FRESH), adm_sets(FAR)),
    "adm_recall": (adm_sets(FRESH), adm_sets(FAR)),
    "copy_share": (sets(FRESH), sets(COPIES)),
    "near_copy_share": (sets(FRESH), sets(COPIES)),
    "copy_distance_ratio": (sets(FRESH), sets(COPIES)),
    "authenticity": (sets(FRESH), sets(COPIES)),
    "copying_test": (sets(FRESH), sets(COPIES)),
    "nearest_training_distance": (sets(FRESH), sets(COPIES)),
    "held_out_loss": (DenoisingLosses(0.4, 0.3), DenoisingLosses(0.5, 0.3)),
    "training_loss": (DenoisingLosses(0.4, 0.2), DenoisingLosses(0.4, 0.3)),
    "loss_gap": (DenoisingLosses(0.4, 0.3), DenoisingLosses(0.5, 0.2)),
}
"""For each metric, better sets and worse sets."""


def test_every_metric_has_a_row() -> None:
    assert set(ROWS) == set(METRICS)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.filterwarnings("ignore:the samples look sorted")
def test_better_sets_get_a_better_value(name: str) -> None:
    metric = METRICS[name]
    better, worse = ROWS[name]
    first = metric.compute(better)
    second = metric.compute(worse)
    assert first is not None
    assert second is not None
    assert sign(metric.direction) * first < sign(metric.direction) * second


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_described(name: str) -> None:
    metric = METRICS[name]
    assert metric.name == name
    assert metric.title
    assert metric.meaning.endswith((".", "?"))
    assert metric.direction in metric.phrase
    assert metric.digits >= 0


@pytest.mark.parametrize("module", [figures, adm, denoising])
def test_every_function_of_sets_is_registered(module: object) -> None:
    registered = set()
    for metric in METRICS.values():
        for entry in filter(None, (metric.function, metric.error)):
            registered.add(pkgutil.resolve_name(entry))
    for function in vars(module).values():
        if inspect.isfunction(function) and list(inspect.signature(function).parameters) == [
            "sets"
        ]:
            assert function in registered, f"{function.__name__} is not in the registry"


def test_a_group_has_standard_errors_only_where_they_are_asked_for() -> None:
    found = compute_group("distribution", sets(FRESH), errors=True)
    assert {name for name in found if name.endswith("_std")} == {
        "frechet_distance_std",
        "kid_std",
        "precision_std",
        "recall_std",
        "coverage_std",
    }
    assert set(compute_group("distribution", sets(FRESH))) == set(metrics_of("distribution"))


def test_metrics_that_the_sets_cannot_have_are_left_out() -> None:
    found = compute_group("samples", sets(FRESH), errors=True)
    assert set(found) == {"fid", "fid_std"}  # no logits, no Inception Score
    one = FeatureSets(
        EncodedImages(FRESH[:5], None), EncodedImages(HELD_OUT, None), CONFIG, TRAINING[:1]
    )
    assert not {"near_copy_share", "authenticity", "copying_test"} & set(
        compute_group("copying", one)
    )


def test_a_model_that_has_diverged_has_no_losses() -> None:
    assert set(compute_group("denoising", DenoisingLosses(0.5, 0.4))) == set(
        metrics_of("denoising")
    )
    assert compute_group("denoising", DenoisingLosses(float("nan"), float("inf"))) == {}


def test_values_that_look_equal_have_one_rank() -> None:
    metric = METRICS["fid"]
    assert metric.rank(2.001) == metric.rank(2.004)
    assert metric.rank(2.0) < metric.rank(2.1)
    assert METRICS["recall"].rank(0.9) < METRICS["recall"].rank(0.8)
    floored: Metric = METRICS["copy_share"]
    assert floored.rank(0.41) == floored.rank(0.5) < floored.rank(0.6)
