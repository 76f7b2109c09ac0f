"""Text networks of transformers, and the agreement of images with captions."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, CLIPModel

from otcondense.encoders import AlignmentConfig, EncoderConfig, cross_entropy
from otcondense.encoders.alignment import OWN, alignment_logits, reference_captions
from otcondense.encoders.caption_model import CaptionModel
from otcondense.encoders.caption_size import caption_size
from otcondense.errors import InputError
from tests.generators.vision_models import PROJECTED, TEXT_KINDS, WIDTH, write_text_model

ALL = ("clip", "siglip", *TEXT_KINDS)
TEXTS = ["a grey dog", "a cat", "it sleeps the drawing of the blue square", "unknown words", "a"]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    return {kind: write_text_model(folder, kind) for kind in ALL}


def config_of(name: str, **settings: Any) -> EncoderConfig:
    values = {"name": name, "device": "cpu", "batch_size": 2, "input": "caption"}
    return EncoderConfig.model_validate({**values, **settings})


@pytest.mark.parametrize("kind", ALL)
def test_each_caption_has_its_embedding_in_any_batch(names: dict[str, str], kind: str) -> None:
    model = CaptionModel(config_of(names[kind]))
    found = model.embed(TEXTS)
    assert found.shape == (len(TEXTS), PROJECTED if kind == "clip" else WIDTH)
    assert found.dtype == np.float32
    assert np.array_equal(found[::-1], model.embed(TEXTS[::-1]))
    larger = CaptionModel(config_of(names[kind], batch_size=8)).embed(TEXTS)
    assert larger == pytest.approx(found, abs=1e-5)
    assert len(np.unique(found, axis=0)) == len(TEXTS)


@pytest.mark.parametrize("kind", ALL)
def test_a_text_network_is_counted_without_its_weights(names: dict[str, str], kind: str) -> None:
    is_joint = kind in {"clip", "siglip"}
    config = config_of(names[kind])
    counted = caption_size(config, joint=is_joint)
    model = CaptionModel(config)
    assert counted.width == model.embed(TEXTS).shape[1]
    net = model._net.text_model if is_joint else model._net
    used = [each for name, each in net.named_parameters() if "embed" not in name]
    tokens = counted.flops / (2 * sum(each.numel() for each in used if each.ndim == 2))
    assert 60 < tokens < 800  # 64 or 256, and the attention, which is much of so small a network
    if not is_joint:
        with pytest.raises(InputError, match="must be a network for images and texts"):
            caption_size(config, joint=True)


def test_a_text_network_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="transformers:/absent must be a text network on the hub"):
        caption_size(config_of("transformers:/absent"))


@pytest.mark.parametrize("kind", ALL)
def test_words_beyond_the_limit_do_not_count_and_no_error_comes(
    names: dict[str, str], kind: str
) -> None:
    model = CaptionModel(config_of(names[kind]))
    long = model.embed(["a cat " * 500, "a cat " * 600])
    assert np.array_equal(long[0], long[1])


def test_clip_s_embedding_is_that_of_the_library(names: dict[str, str]) -> None:
    place = names["clip"].partition(":")[2]
    net = CLIPModel.from_pretrained(place).eval()
    words = AutoTokenizer.from_pretrained(place)  # type: ignore[no-untyped-call]
    tokens = words(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        pooled = net.text_model(**tokens).pooler_output
        expected = net.text_projection(pooled).numpy()
    found = CaptionModel(config_of(names["clip"])).embed(TEXTS)
    assert found == pytest.approx(expected, abs=1e-5)


def test_a_sentence_encoder_means_over_the_words_only(names: dict[str, str]) -> None:
    model = CaptionModel(config_of(names["bert"]))
    tokens = model._tokenizer(["a cat"], return_tensors="pt")
    states = model._net(**tokens).last_hidden_state
    assert model.embed(["a cat"])[0] == pytest.approx(states[0].mean(0).numpy(), abs=1e-5)


def test_another_network_or_vocabulary_has_another_digest(
    names: dict[str, str], tmp_path: Path
) -> None:
    first = CaptionModel(config_of(names["bert"])).sha256
    assert first == CaptionModel(config_of(names["bert"])).sha256
    assert first != CaptionModel(config_of(names["mpnet"])).sha256


def test_a_network_of_another_kind_is_refused(names: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"one of clip, siglip .*found bert"):
        CaptionModel(config_of(names["bert"]), joint=True)
    with pytest.raises(InputError, match="must be a text network on the hub, or a folder"):
        CaptionModel(config_of(f"transformers:{tmp_path}"))
    from tests.generators.vision_models import write_model

    with pytest.raises(InputError, match="found dinov2"):
        CaptionModel(config_of(write_model(tmp_path, "dinov2")))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "resnet50"}, "needs a text network of transformers"),
        ({"pooling": "cls"}, "pooling is for images"),
        ({"image_size": 32}, "image_size is for images"),
    ],
)
def test_settings_of_images_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EncoderConfig.model_validate({"name": "transformers:x", "input": "caption", **settings})


def test_the_identity_of_networks_that_read_images_is_that_of_before() -> None:
    assert "input" not in EncoderConfig(name="transformers:x").identity()
    both = [EncoderConfig(name="transformers:x", input=each) for each in ("image", "caption")]
    assert both[0].identity() != both[1].identity()
    assert both[0].file_name != both[1].file_name


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ({"name": "resnet50"}, "must be a CLIP or SigLIP of transformers"),
        ({"name": "clip-l14", "pooling": "cls"}, "pooling must be null"),
    ],
)
def test_an_alignment_without_a_joint_network_is_refused(
    encoder: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        AlignmentConfig.model_validate({"encoder": encoder})


def scores(images: torch.Tensor, captions: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    same = torch.zeros(len(images), len(others), dtype=torch.bool)
    logits = alignment_logits(images, captions, others, same, 10.0)
    return cross_entropy(logits, torch.full((len(images),), OWN))


def test_the_score_falls_as_the_caption_moves_to_its_image() -> None:
    generator = torch.Generator().manual_seed(0)
    images, captions, others = (torch.randn(5, 8, generator=generator) for _ in range(3))
    found = [scores(images, (1 - t) * captions + t * images, others) for t in (0, 0.3, 0.6, 1)]
    for before, after in itertools.pairwise(found):
        assert (after < before).all()


def test_the_score_is_the_logarithm_of_the_number_of_captions_by_chance() -> None:
    ones = torch.ones(3, 4)
    assert scores(ones, ones, torch.ones(6, 4)).tolist() == pytest.approx([np.log(7)] * 3)


def test_a_reference_with_the_own_text_does_not_compete() -> None:
    generator = torch.Generator().manual_seed(0)
    images, captions, others = (torch.randn(2, 8, generator=generator) for _ in range(3))
    is_own = torch.tensor([[True, False], [False, False]])
    logits = alignment_logits(images, captions, others, is_own, 1.0)
    less = alignment_logits(images[:1], captions[:1], others[1:], is_own[:1, 1:], 1.0)
    assert logits[0].softmax(0)[[0, 2]] == pytest.approx(less[0].softmax(0))


def test_references_are_the_same_in_any_order_and_each_once() -> None:
    texts = [f"caption {number % 40}" for number in range(100)]
    found = reference_captions(texts, 10)
    assert found == reference_captions(reversed(texts), 10)
    assert len(set(found)) == 10
    assert len(reference_captions(texts, 100)) == 40
    assert set(reference_captions([*texts, "a new one"], 11)) >= set(found)
