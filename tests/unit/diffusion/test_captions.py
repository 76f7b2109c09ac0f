"""Conditioning on captions: what a batch carries, what is dropped, and that it matters."""

from typing import Any

import pytest
import torch
from torch import Tensor

from otcondense.diffusion import (
    ModelConfig,
    Pixels,
    SamplerConfig,
    TrainingConfig,
    TrainingSet,
    create_state,
    make_batch,
    sample_batch,
    train_step,
)
from otcondense.diffusion.attach import Attachments
from otcondense.diffusion.checkpoint import load_model, save_checkpoint
from otcondense.diffusion.forecast import forecast_training
from otcondense.diffusion.held_out_loss import LossImages, mean_denoising_error
from otcondense.diffusion.sampler import Prompted
from otcondense.diffusion.training import TrainState, _text_of
from otcondense.store import Store

SHAPE = (1, 8, 8)
IMAGES = 12
TOKENS, WIDTH = 3, 6
NONE = torch.full((TOKENS, WIDTH), 0.5).half()
PARTS = Attachments(no_caption=NONE)


def config(**settings: Any) -> TrainingConfig:
    values = {
        "model": ModelConfig(width=16, depth=1, num_heads=2),
        "text": "captions",
        "global_batch_size": 8,
        "num_steps": 1000,
        "checkpoint_steps": (),
        "num_workers": 1,
        "warmup_steps": 0,
    }
    return TrainingConfig(**{**values, **settings})


def training_set() -> TrainingSet:
    """The value of a caption is the number of its image."""
    pixels = torch.arange(IMAGES, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, *SHAPE)
    captions = torch.arange(IMAGES).view(-1, 1, 1, 1).expand(-1, 1, TOKENS, WIDTH).half()
    labels = torch.arange(IMAGES) % 2
    return TrainingSet(Pixels(pixels.contiguous()), labels, captions=captions)


def new_state(**settings: Any) -> TrainState:
    return create_state(config(**settings), 2, SHAPE, "cpu", PARTS)


def numbers(images: Tensor) -> Tensor:
    return ((images[:, 0, 0, 0] + 1) * 127.5).round()


@pytest.mark.parametrize("compat", ["none", "authors"])
@pytest.mark.parametrize("flip", [False, True])
def test_each_image_comes_with_its_caption_or_with_none(compat: str, flip: bool) -> None:
    state = new_state(compat=compat, flip=flip, label_drop=0.4)
    dropped = []
    for step in range(20):
        batch = make_batch(state.config, step, training_set())
        text = _text_of(state, batch)
        assert text is not None
        drop = batch.draws.drop if compat == "none" else batch.draws.text_drop
        assert drop is not None
        assert torch.equal(text[drop], NONE.expand(int(drop.sum()), -1, -1))
        assert torch.equal(text[~drop][:, 0, 0].float(), numbers(batch.x)[~drop])
        dropped.append(drop)
    assert float(torch.cat(dropped).float().mean()) == pytest.approx(0.4, abs=0.1)


def test_workers_share_the_captions_of_a_batch() -> None:
    whole = make_batch(config(), 3, training_set()).captions
    parts = [make_batch(config(), 3, training_set(), (part, 4)).captions for part in range(4)]
    assert whole is not None
    assert torch.equal(whole, torch.cat([each for each in parts if each is not None]))


def test_checkpoints_hold_no_caption_but_the_empty_one(tmp_path: Any) -> None:
    state = new_state()
    for step in range(2):
        train_step(state, make_batch(state.config, step, training_set()))
    store = Store(str(tmp_path))
    place = save_checkpoint(store, "run", state, fingerprint="x").directory
    model, _ = load_model(store, place)
    half = {
        name: each.shape for name, each in model.state_dict().items() if each.dtype == NONE.dtype
    }
    assert half == {"text_embedder.no_caption": (TOKENS, WIDTH)}
    x, t, labels = torch.randn(2, *SHAPE), torch.rand(2), torch.tensor([1, 2])
    text = torch.randn(2, TOKENS, WIDTH).half()
    with torch.no_grad():
        assert torch.equal(model(x, t, labels, text), state.ema(x, t, labels, text))
        without = model(x, t, labels)
        assert torch.equal(without, model(x, t, labels, NONE.expand(2, -1, -1)))
        assert not torch.equal(without, model(x, t, labels, text))


def test_the_backbone_starts_as_without_captions() -> None:
    plain = create_state(config(text=False), 2, SHAPE).model.state_dict()
    kept = new_state().model.state_dict()
    assert all(torch.equal(kept[name], value) for name, value in plain.items())


def test_the_forecast_counts_the_weights_of_the_embedder() -> None:
    found = forecast_training(config(), 2, SHAPE, PARTS).parameters
    assert found == sum(each.numel() for each in new_state().model.parameters())


def test_the_held_out_loss_is_without_class_and_caption() -> None:
    model = new_state().ema
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05)
    images = torch.randint(0, 256, (4, *SHAPE), dtype=torch.uint8)

    def loss(labels: Tensor) -> float:
        return mean_denoising_error(
            model, "sit-linear", LossImages(images, labels, torch.arange(4))
        )

    assert loss(torch.zeros(4, dtype=torch.long)) == loss(torch.ones(4, dtype=torch.long))
    assert loss(torch.zeros(4, dtype=torch.long)) == loss(torch.full((4,), 2))


def test_samples_follow_the_caption() -> None:
    """Two images of one class that differ in their captions alone are told apart."""
    images = torch.full((2, *SHAPE), 20, dtype=torch.uint8)
    images[0, :, :, :4] = images[1, :, :, 4:] = 235
    captions = torch.stack([torch.zeros(1, TOKENS, WIDTH), torch.ones(1, TOKENS, WIDTH)]).half()
    data = TrainingSet(Pixels(images), torch.zeros(2, dtype=torch.long), captions=captions)
    settings = {"learning_rate": 1e-2, "ema_decay": 0.9, "global_batch_size": 16}
    state = create_state(config(**settings), 1, SHAPE, "cpu", PARTS)
    for step in range(150):
        train_step(state, make_batch(state.config, step, data))
    sampler = SamplerConfig(num_samples=8, batch_size=8, num_steps=20, samples_per_prompt=4)
    prompted = Prompted(captions[:, 0], torch.zeros(2, dtype=torch.long))
    found, labels = sample_batch(
        state.ema, "sit-linear", torch.arange(8), sampler, prompts=prompted
    )
    assert not labels.any()
    wanted = images.repeat_interleave(4, dim=0).float()
    right = (found.float() - wanted).abs().mean(dim=(1, 2, 3))
    wrong = (found.float() - wanted.flip(0)).abs().mean(dim=(1, 2, 3))
    assert (right < 30).all(), right
    assert (wrong > 4 * right).all(), (right, wrong)


def test_captions_need_a_share_without() -> None:
    with pytest.raises(ValueError, match="text=captions needs label_drop above 0"):
        config(label_drop=0.0)


@pytest.mark.parametrize("text", [False, True])
def test_the_identity_of_earlier_settings_stays(text: bool) -> None:
    found = config(text=text).identity()
    assert found.get("text", False) is text
    assert config().identity()["text"] == "captions"
