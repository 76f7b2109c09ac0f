"""Metrics on a GPU are those on the CPU, up to rounding; skipped without CUDA."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.synthetic import pooled_features
from otcondense.encoders import EncoderConfig
from otcondense.evaluation import (
    EncodedImages,
    EvaluationConfig,
    JudgedSets,
    NamedEncoder,
    class_frechet_distances,
    encode_images,
    feature_statistics,
    gaussian_distance,
    half_precision_recall,
    judged_figures,
    kernel_distance,
    monge_distance,
    near_duplicates,
)
from otcondense.evaluation.adm_files import AdmReference
from pipeline.judges import JudgeConfig
from tests.generators.weights import write_timm

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
COUNT = 3_000
WIDTH = 256
CONFIG = EvaluationConfig(network="inception", kid_subsets=5)
REFERENCE_SHARE = 1e-3
"""Half-precision distances round in another order on a GPU, which moves single images."""


def features(seed: int) -> Tensor:
    return pooled_features(COUNT, WIDTH, seed)


SAMPLES, HELD_OUT, CHOSEN = features(1), features(2), features(3)[:1_000]
LOGITS = features(4)
CLASSES = np.arange(COUNT) % 20


def sets() -> JudgedSets:
    network = NamedEncoder("synthetic", "0", lambda images: images)
    samples = EncodedImages(SAMPLES, LOGITS, SAMPLES[:, :64].contiguous())
    others = [EncodedImages(each, None) for each in (HELD_OUT, CHOSEN, HELD_OUT)]
    return JudgedSets(network, samples, *others)


def reference() -> AdmReference:
    spatial = feature_statistics(HELD_OUT[:, :64].contiguous())
    return AdmReference(feature_statistics(HELD_OUT), spatial, path="")


def test_all_metrics_of_samples_are_those_of_the_cpu() -> None:
    values = []
    for device in ("cpu", "cuda"):
        found = judged_figures(sets().to(torch.device(device)), {}, reference(), CONFIG)
        assert found.main is not None
        values.append({**found.main.values, **found.adm})
    here, there = values
    assert here.keys() == there.keys()
    for name, value in here.items():
        is_half = name.startswith("adm") and ("precision" in name or "recall" in name)
        slack = REFERENCE_SHARE if is_half else 1e-5
        assert there[name] == pytest.approx(value, rel=1e-5, abs=slack), name


OTHERS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "kernel": kernel_distance,
    "gaussian": gaussian_distance,
    "mind": lambda one, two: monge_distance(one, two[: len(two) // 2]),
    "near duplicates": near_duplicates,
    "classes": lambda one, two: list(class_frechet_distances(one, CLASSES, two, CLASSES).values()),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_metric_is_that_of_the_cpu(name: str) -> None:
    here = OTHERS[name](SAMPLES, HELD_OUT)
    there = OTHERS[name](SAMPLES.cuda(), HELD_OUT.cuda())
    assert there == pytest.approx(here, rel=1e-6, abs=1e-9)


def test_half_precision_moves_few_images() -> None:
    here = half_precision_recall(SAMPLES, HELD_OUT)
    there = half_precision_recall(SAMPLES.cuda(), HELD_OUT.cuda())
    assert there == pytest.approx(here, abs=REFERENCE_SHARE)


def test_a_judge_on_a_gpu_gives_nearly_the_features_of_the_cpu(tmp_path: Path) -> None:
    encoder = {
        "name": "test_resnet",
        "weights": write_timm(tmp_path / "w.safetensors", "test_resnet"),
        "image_size": 32,
        "num_classes": 0,
    }
    pixels = torch.randint(0, 256, (40, 3, 16, 16), dtype=torch.uint8)
    found = []
    for device in ("cpu", "cuda"):
        config = EncoderConfig.model_validate({**encoder, "device": device})
        judge = JudgeConfig.of(config, 16)
        found.append(encode_images(pixels, judge.load(), judge.batch_size, threads=2).features)
    torch.testing.assert_close(found[1], found[0], rtol=1e-2, atol=1e-2)
