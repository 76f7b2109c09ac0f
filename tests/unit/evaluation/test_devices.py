"""Metrics stay on the device of the features: nothing of their size moves to the CPU."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch_fidelity.metric_kid import kid_features_to_metric

from otcondense.evaluation import (
    AdmSamples,
    EncodedImages,
    EvaluationConfig,
    adm_metrics,
    authenticity,
    class_frechet_distances,
    copying,
    copying_test,
    density_coverage,
    feature_statistics,
    frechet_distance,
    frechet_error,
    gaussian_distance,
    kernel_distance,
    monge_distance,
    near_copy_share,
    near_duplicates,
    precision_recall,
)
from otcondense.evaluation.adm_files import AdmReference
from otcondense.evaluation.fidelity import fidelity_kid, fidelity_score

CONFIG = EvaluationConfig(inception_score_splits=2, kid_subsets=3, kid_subset_size=20)
ALL_PAIRS = EvaluationConfig(kid_subsets=40, kid_subset_size=50)
"""Its subsets have more pairs than the sets have."""
COUNT = 50
WIDTH = 6
LEAVES = frozenset({Tensor.cpu, Tensor.numpy, Tensor.tolist, Tensor.__array__})
"""Take values to the CPU."""
MAKES = frozenset({torch.zeros, torch.ones, torch.full, torch.empty, torch.arange, torch.eye})
"""Make a tensor on the CPU unless they are told a device."""


class StaysOnDevice(TorchFunctionMode):
    """Refuses to move more than one number for each image, and tensors without a device."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        _types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if func in LEAVES:
            assert args[0].numel() <= COUNT * 2, f"{func.__name__} of {tuple(args[0].shape)}"
        if func in MAKES:
            assert given.get("device") is not None, f"{func.__name__} without a device"
        return func(*args, **given)


def features(seed: int, shift: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(COUNT, WIDTH, generator=generator) + shift


SAMPLES, HELD_OUT, CHOSEN = features(0), features(1, 0.2), features(2, 0.1)
LOGITS = features(3)
CLASSES = (torch.arange(COUNT) % 2).numpy()
REFERENCE = AdmReference(feature_statistics(HELD_OUT), feature_statistics(CHOSEN), path="")


def encoded(rows: Tensor) -> EncodedImages:
    return EncodedImages(rows, None)


METRICS: dict[str, Callable[[], Any]] = {
    "frechet": lambda: frechet_distance(SAMPLES, HELD_OUT),
    "error": lambda: frechet_error(SAMPLES, feature_statistics(HELD_OUT), 3),
    "kid": lambda: fidelity_kid(encoded(SAMPLES), encoded(HELD_OUT), CONFIG),
    "kid of all pairs": lambda: fidelity_kid(encoded(SAMPLES), encoded(HELD_OUT), ALL_PAIRS),
    "mind": lambda: monge_distance(SAMPLES, HELD_OUT, 20),
    "kernel": lambda: kernel_distance(SAMPLES, HELD_OUT),
    "gaussian": lambda: gaussian_distance(SAMPLES, HELD_OUT),
    "inception score": lambda: fidelity_score(LOGITS, CONFIG),
    "precision and recall": lambda: precision_recall(SAMPLES, HELD_OUT),
    "density and coverage": lambda: density_coverage(SAMPLES, HELD_OUT),
    "copying": lambda: copying(SAMPLES, CHOSEN[:30], HELD_OUT, draws=2).copy_share,
    "copying test": lambda: copying_test(SAMPLES, CHOSEN, HELD_OUT),
    "near copies": lambda: near_copy_share(SAMPLES, CHOSEN),
    "near duplicates": lambda: near_duplicates(SAMPLES, HELD_OUT),
    "authenticity": lambda: authenticity(SAMPLES, CHOSEN),
    "classes": lambda: class_frechet_distances(SAMPLES, CLASSES, HELD_OUT, CLASSES),
    "adm": lambda: adm_metrics(AdmSamples(SAMPLES, LOGITS, SAMPLES), REFERENCE, HELD_OUT),
}


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_moves_no_features_to_the_cpu(name: str) -> None:
    plain = METRICS[name]()
    with StaysOnDevice():
        assert METRICS[name]() == plain


def test_the_check_finds_what_moves_features() -> None:
    with pytest.raises(AssertionError, match="cpu of"), StaysOnDevice():
        SAMPLES.cpu()
    with pytest.raises(AssertionError, match="zeros without a device"), StaysOnDevice():
        torch.zeros(3)


@pytest.mark.parametrize(("config", "size"), [(CONFIG, 20), (ALL_PAIRS, 40)])
def test_the_kernel_distance_of_subsets_is_that_of_torch_fidelity(
    config: EvaluationConfig, size: int
) -> None:
    theirs = kid_features_to_metric(
        SAMPLES.double(),
        HELD_OUT[:40].double(),
        kid_subsets=config.kid_subsets,
        kid_subset_size=size,
        rng_seed=config.seed,
        verbose=False,
    )
    found = fidelity_kid(encoded(SAMPLES), encoded(HELD_OUT[:40]), config)
    assert found.mean == pytest.approx(theirs["kernel_inception_distance_mean"], abs=1e-12)
    assert found.spread == pytest.approx(theirs["kernel_inception_distance_std"], abs=1e-12)
