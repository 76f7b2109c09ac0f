"""Metrics of images through an encoder: agreement with torch-fidelity, provenance, refusals."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from otcondense.errors import InputError
from otcondense.evaluation import (
    EvaluationConfig,
    NamedEncoder,
    encode_images,
    evaluate_images,
    frechet_distance,
    kernel_distance,
    precision_recall,
    subset_quality,
)

CONFIG = EvaluationConfig(
    batch_size=16, inception_score_splits=3, kid_subsets=5, kid_subset_size=1000
)


class LinearEncoder:
    """A fixed random projection that records how it was called."""

    name = "linear"
    weights_sha256 = "0" * 64

    def __init__(self, pixels=48, spoil=None):
        generator = torch.Generator().manual_seed(0)
        self.features = torch.randn(pixels, 8, generator=generator)
        self.logits = torch.randn(8, 4, generator=generator)
        self.calls, self.spoil = [], spoil

    def __call__(self, images):
        assert images.dtype == torch.uint8
        self.calls.append(len(images))
        features = images.flatten(1).float() / 255 @ self.features
        if self.spoil is not None:
            features = self.spoil(features)
        return SimpleNamespace(features=features, logits=features[:, :8] @ self.logits)


def images(n, seed=0, low=0, high=256):
    return torch.from_numpy(
        np.random.default_rng([seed, n]).integers(low, high, (n, 3, 4, 4), dtype=np.uint8)
    )


def test_every_figure_agrees_with_torch_fidelity_on_the_same_features():
    samples, held_out, encoder = images(70, high=200), images(50, 1), LinearEncoder()
    found = evaluate_images(samples, held_out, encoder, CONFIG).values
    one, two = encode_images(samples, encoder, 16), encode_images(held_out, encoder, 16)
    theirs = fid_statistics_to_metric(
        fid_features_to_statistics(one.features),
        fid_features_to_statistics(two.features),
        verbose=False,
    )
    theirs |= prc_features_to_metric(one.features, two.features, verbose=False)
    theirs |= isc_features_to_metric(one.logits, splits=3)
    assert found["fid"] == pytest.approx(theirs["frechet_inception_distance"], abs=1e-5, rel=1e-6)
    assert found["frechet_distance"] == pytest.approx(
        theirs["frechet_inception_distance"], abs=1e-5, rel=1e-6
    )
    assert (found["precision"], found["recall"]) == pytest.approx(
        (theirs["precision"], theirs["recall"]), abs=1e-6
    )
    assert found["precision"] != found["recall"]
    assert found["inception_score"] == pytest.approx(theirs["inception_score_mean"], abs=1e-9)


@pytest.mark.parametrize(("n", "m", "d"), [(120, 150, 16), (40, 300, 64), (256, 256, 5)])
def test_pure_functions_agree_with_torch_fidelity(n, m, d):
    generator = np.random.default_rng(n)
    one, two = (
        torch.from_numpy(generator.normal(0.1, 1.2, (n, d))),
        torch.from_numpy(generator.normal(size=(m, d))),
    )
    fid = fid_statistics_to_metric(
        fid_features_to_statistics(one), fid_features_to_statistics(two), verbose=False
    )
    assert frechet_distance(one, two) == pytest.approx(
        fid["frechet_inception_distance"], abs=1e-5, rel=1e-6
    )
    prc = prc_features_to_metric(one, two, verbose=False)
    assert precision_recall(one, two) == pytest.approx(
        (prc["precision"], prc["recall"]), abs=1e-5, rel=1e-6
    )
    size = min(n, m)
    kid = kid_features_to_metric(
        one[:size], two[:size], kid_subsets=1, kid_subset_size=size, verbose=False
    )
    assert kernel_distance(one[:size], two[:size]) == pytest.approx(
        kid["kernel_inception_distance_mean"], abs=1e-5, rel=1e-6
    )


def test_figures_carry_what_they_were_computed_from():
    metrics = evaluate_images(
        images(30), images(20, 1), LinearEncoder(), CONFIG, training=images(10, 2)
    )
    record = json.loads(json.dumps(metrics.record()))
    assert (record["num_samples"], record["num_held_out"], record["num_training"]) == (30, 20, 10)
    assert (record["encoder"], record["encoder_sha256"]) == ("linear", "0" * 64)
    assert record["settings"]["neighbours"] == 3
    assert record["settings"]["torch_fidelity"].startswith("0.4")
    assert record["values"]["copy_set_size"] == 10
    assert (
        record
        == evaluate_images(
            images(30), images(20, 1), LinearEncoder(), CONFIG, training=images(10, 2)
        ).record()
    )


def test_copied_samples_are_found():
    training = images(25, 2)
    values = evaluate_images(
        training, images(20, 1), LinearEncoder(), CONFIG, training=training
    ).values
    assert 0.8 <= values["copy_share"] < 1  # 20 of the 25 originals are in each draw
    assert values["nearest_training_distance"] == 0
    fresh = evaluate_images(
        images(200, 5), images(20, 1), LinearEncoder(), CONFIG, training=training
    ).values
    assert fresh["copy_share"] == pytest.approx(0.5, abs=0.15)
    assert (
        "copy_share" not in evaluate_images(training, images(20, 1), LinearEncoder(), CONFIG).values
    )


def test_each_image_passes_the_encoder_once_in_batches_of_one_size():
    encoder = LinearEncoder()
    evaluate_images(images(40), images(20, 1), encoder, CONFIG)
    assert encoder.calls == [16] * (3 + 2)


def test_a_stream_of_any_parts_is_encoded_as_the_whole_is():
    whole, encoder = images(45), LinearEncoder()
    parts = [whole[:1], whole[1:30], whole[30:30], whole[30:45]]
    streamed = encode_images(iter(parts), encoder, 16)
    assert encoder.calls == [16] * 3
    assert torch.equal(streamed.features, encode_images(whole, encoder, 16).features)


def test_inception_score_of_sorted_samples_needs_the_shuffle():
    labels = torch.arange(4).repeat_interleave(30)
    samples = torch.zeros(120, 3, 4, 4, dtype=torch.uint8)
    samples[torch.arange(120), 0, 0, labels] = 255

    class OneHot(LinearEncoder):
        def __call__(self, images):
            logits = images[:, 0, 0].float() / 255 * 40
            return SimpleNamespace(
                features=images.flatten(1).float() @ self.features, logits=logits
            )

    def score(images_, shuffle):
        return evaluate_images(
            images_,
            images(20),
            OneHot(),
            CONFIG.model_copy(update={"shuffle": shuffle, "inception_score_splits": 4}),
        ).values["inception_score"]

    assert score(samples, True) > 3.5
    with pytest.warns(UserWarning, match=r"sorted by class \(3 changes.*about 89"):
        assert score(samples, False) == pytest.approx(1, abs=1e-6)
    assert (
        score(samples[torch.randperm(120, generator=torch.Generator().manual_seed(0))], False) > 3.5
    )  # no warning


def test_a_function_becomes_an_encoder():
    named = NamedEncoder("plain", "f" * 64, LinearEncoder())
    metrics = evaluate_images(images(20), images(20, 1), named, CONFIG)
    assert (metrics.encoder, metrics.encoder_sha256) == ("plain", "f" * 64)
    assert (
        metrics.values == evaluate_images(images(20), images(20, 1), LinearEncoder(), CONFIG).values
    )


def test_without_a_classifier_there_is_no_inception_score():
    whole, featureless = (
        LinearEncoder(),
        NamedEncoder(
            "headless",
            "",
            lambda x: SimpleNamespace(features=LinearEncoder()(x).features, logits=None),
        ),
    )
    expected = evaluate_images(images(20), images(20, 1), whole, CONFIG).values
    found = evaluate_images(images(20), images(20, 1), featureless, CONFIG).values
    assert found == {
        name: value for name, value in expected.items() if not name.startswith("inception_score")
    }


@pytest.mark.parametrize(
    ("samples", "held_out", "message"),
    [
        (images(2), images(20), "samples must hold at least 4 images.*found 2"),
        (images(20), images(3), "held-out images must hold at least 4 images.*found 3"),
        (
            images(20).float() / 255,
            images(20),
            r"samples must be uint8 in 0\.\.255, found torch.float32 between 0 and 1",
        ),
        (images(20), images(20).numpy().astype(np.int64), "held-out images must be uint8"),
        (images(20)[:, :2], images(20), "1 or 3 channels"),
        (images(20)[:, :, :3], images(20), "one shape"),
        (images(20)[0], images(20), "shape"),
    ],
)
def test_unfit_images_are_named(samples, held_out, message):
    with pytest.raises(InputError, match=message):
        evaluate_images(samples, held_out, LinearEncoder(), CONFIG)


def test_the_inception_score_needs_an_image_per_split():
    with pytest.raises(InputError, match=r"samples must hold at least 30 images.*found 29"):
        evaluate_images(
            images(29), images(20), LinearEncoder(), EvaluationConfig(inception_score_splits=30)
        )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda x: torch.where(torch.arange(len(x))[:, None] == 1, torch.nan, x),
            "linear must give finite features.*1 of 16",
        ),
        (lambda x: x[:, None], "must give features"),
        (lambda x: x[1:], "must give features"),
    ],
)
def test_a_broken_encoder_is_named(spoil, message):
    with pytest.raises(InputError, match=message):
        evaluate_images(images(20), images(20), LinearEncoder(spoil=spoil), CONFIG)


def test_subset_quality_prefers_a_spread_subset():
    generator = np.random.default_rng(0)
    population, held_out = generator.normal(size=(500, 4)), generator.normal(size=(200, 4))
    order = np.argsort((population**2).sum(1))
    spread, centre = (
        subset_quality(population[::10], held_out),
        subset_quality(population[order[:50]], held_out),
    )
    assert spread["frechet_distance"] < centre["frechet_distance"]
    assert spread["coverage"] > centre["coverage"]
    assert spread["recall"] > centre["recall"]
    assert (spread["num_images"], spread["num_held_out"]) == (50, 200)
    with pytest.raises(InputError, match=r"the subset must hold at least 4 images.*found 3"):
        subset_quality(population[:3], held_out)
