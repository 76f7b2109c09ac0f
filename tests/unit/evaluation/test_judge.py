"""Judges: features are computed once, the cache finds them again, and all metrics come together."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from otcondense.evaluation import (
    Comparison,
    EvaluationConfig,
    FeatureCache,
    ImageSet,
    Judge,
    JudgedSets,
    NamedEncoder,
    evaluate_images,
    further_metrics,
    judged_subset,
    sample_figures,
    subset_quality,
)
from tests.unit.evaluation.test_evaluate_images import LinearEncoder, images

CONFIG = EvaluationConfig(batch_size=16, inception_score_splits=2, kid_subsets=5)


def image_set(pixels: torch.Tensor) -> ImageSet:
    def parts() -> Iterator[torch.Tensor]:
        yield from pixels.split(7)

    return ImageSet(parts)


def judge(cache: FeatureCache | None = None) -> tuple[Judge, LinearEncoder]:
    encoder = LinearEncoder()
    return Judge(NamedEncoder("linear", "0" * 64, encoder), 16, cache), encoder


def test_all_metrics_of_samples_come_together() -> None:
    main, _ = judge()
    other, _ = judge()
    samples, held_out, training = images(30), images(20, 1), images(10, 2)
    against = Comparison(image_set(held_out), image_set(training))
    found = sample_figures(image_set(samples), against, main, {"second": other}, CONFIG)
    expected = evaluate_images(samples, held_out, LinearEncoder(), CONFIG, training=training)
    assert found.main is not None
    assert found.main.record() == {**expected.record(), "encoder": "linear"}
    features = found.samples.features
    further = further_metrics(features, main.encode(image_set(held_out)).features, CONFIG)
    assert found.further == {f"second.{name}": value for name, value in further.items()}
    assert found.adm == {}


def test_held_out_and_training_images_pass_a_network_once() -> None:
    main, encoder = judge()
    against = Comparison(image_set(images(20, 1)), image_set(images(10, 2)))
    for seed in (3, 4):
        sample_figures(image_set(images(30, seed)), against, main, {}, CONFIG)
    assert len(encoder.calls) == 2 * 2 + 2 + 1  # batches of two samples, held-out, training


def test_without_held_out_images_only_the_samples_are_encoded() -> None:
    main, _ = judge()
    other, further = judge()
    found = sample_figures(image_set(images(30)), Comparison(None), main, {"second": other}, CONFIG)
    assert found.main is None
    assert found.further == {}
    assert further.calls == []


def test_a_subset_is_measured_through_every_network() -> None:
    main, _ = judge()
    other, _ = judge()
    subset, held_out = image_set(images(10)), image_set(images(20, 1))
    sets = {
        name: JudgedSets(each.network, each.encode(subset), each.encode(held_out))
        for name, each in {"main": main, "second": other}.items()
    }
    found = judged_subset(sets["main"], {"second": sets["second"]}, CONFIG)
    expected = subset_quality(main.encode(subset).features, main.encode(held_out).features, CONFIG)
    assert {name: found[name] for name in expected} == expected
    assert found["second.recall"] == expected["recall"]
    assert not any(name.startswith("second.num_") for name in found)


def test_the_cache_keeps_features_of_equal_pixels(tmp_path: Path) -> None:
    pixels = images(20)
    first, encoder = judge(FeatureCache(str(tmp_path)))
    features = first.encode(image_set(pixels)).features
    again = Judge(first.network, 16, FeatureCache(str(tmp_path)))
    assert torch.equal(again.encode(image_set(pixels.clone())).features, features)
    assert len(encoder.calls) == 2

    resized = Judge(first.network, 16, FeatureCache(str(tmp_path), {"image_size": 8}))
    resized.encode(image_set(pixels))
    assert len(encoder.calls) == 4
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


@pytest.mark.parametrize("place", [0, 100, -1])
def test_a_damaged_file_of_the_cache_is_computed_again(tmp_path: Path, place: int) -> None:
    first, _ = judge(FeatureCache(str(tmp_path)))
    expected = first.encode(image_set(images(20))).features
    for file in tmp_path.iterdir():
        before = file.read_bytes()
        damaged = bytearray(before)
        damaged[min(place, len(before) - 1)] ^= 1
        file.write_bytes(damaged)
        assert torch.equal(first.encode(image_set(images(20))).features, expected)
        assert file.read_bytes() == before


def test_the_digest_depends_on_pixels_sizes_and_order() -> None:
    pixels = np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4)
    whole = torch.from_numpy(pixels)
    digests = {
        image_set(each).sha256
        for each in (whole, whole.flip(0), whole.reshape(2, 3, 2, 8), whole[:1])
    }
    assert len(digests) == 4
