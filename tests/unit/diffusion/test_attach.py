"""Attach: alignment of tokens, text in addition to the class, and the authors' variants."""

import pytest
import torch

from otcondense.diffusion import (
    Moments,
    TrainingConfig,
    TrainingSet,
    create_state,
    make_batch,
    train_step,
)
from otcondense.diffusion.alignment import AlignmentConfig, alignment_losses, build_projector
from otcondense.diffusion.attach import Attachments
from otcondense.diffusion.checkpoint import load_model, save_checkpoint
from otcondense.diffusion.text import TextEmbedder
from otcondense.diffusion.training import batch_losses
from otcondense.store import Store

SHAPE = (4, 4, 4)
CLASSES = 5
MODEL = {"name": "SiT-demo/2", "width": 16, "depth": 2, "num_heads": 2}
PARTS = Attachments(text=torch.randn(CLASSES, 3, 7).half(), token_width=6)


def config(**settings):
    defaults = {
        "data": "latents",
        "alignment": {"depth": 1, "hidden_width": 8},
        "text": True,
        "global_batch_size": 16,
    }
    return TrainingConfig(
        **{**defaults, "model": MODEL, "num_workers": 1, "flip": True, **settings}
    )


@pytest.fixture
def data():
    mean = torch.randn(20, 2, *SHAPE, generator=torch.Generator().manual_seed(0)).half()
    return TrainingSet(
        Moments(mean, mean.abs() / 10, 1.0, 0.0),
        torch.arange(20) % CLASSES,
        torch.randn(20, 2, 4, 6).half(),
    )


def test_sizes_are_the_published_ones():
    """Text adds 36.7 M parameters to a DiT-L/2, the projector 7.9 M."""
    with torch.device("meta"):
        text = TextEmbedder(torch.empty(1000, 16, 2048, dtype=torch.float16), 1024)
        projector = build_projector(1024, 768, AlignmentConfig())
    assert sum(each.numel() for each in text.parameters()) / 1e6 == pytest.approx(36.7, abs=0.05)
    assert sum(each.numel() for each in projector.parameters()) / 1e6 == pytest.approx(
        7.9, abs=0.05
    )


def test_alignment_is_minus_the_mean_cosine():
    projected, tokens = torch.randn(2, 3, 4, 5)
    by_hand = [
        -sum(float(p @ q / (p.norm() * q.norm())) for p, q in zip(*pair, strict=True)) / 4
        for pair in zip(projected, tokens, strict=True)
    ]
    assert alignment_losses(projected, tokens).tolist() == pytest.approx(
        by_hand, rel=1e-5, abs=1e-6
    )
    assert alignment_losses(tokens, 3 * tokens).tolist() == pytest.approx([-1] * 3)


def test_the_loss_is_the_sum_and_trains_every_part(data):
    state = create_state(
        config(alignment={"depth": 1, "hidden_width": 8, "coefficient": 2.0}),
        CLASSES,
        SHAPE,
        "cpu",
        PARTS,
    )
    batch = make_batch(state.config, 0, data)
    losses = {name: value.item() for name, value in batch_losses(state, batch).items()}
    without = create_state(config(alignment=None), CLASSES, SHAPE, "cpu", PARTS)
    plain = batch_losses(without, make_batch(without.config, 0, data))["loss"].item()
    assert losses["loss"] == pytest.approx(plain + 2 * losses["alignment"], rel=1e-5)
    for _ in range(3):
        metrics = train_step(state, batch)
    assert set(metrics) == {"loss", "alignment", "grad_norm"}
    assert all(
        parameter.grad is not None and parameter.grad.any()
        for parameter in state.model.parameters()
    )


def test_alignment_is_learned(data):
    state = create_state(config(learning_rate=1e-2), CLASSES, SHAPE, "cpu", PARTS)
    seen = [
        float(train_step(state, make_batch(state.config, step, data))["alignment"])
        for step in range(60)
    ]
    assert sum(seen[-10:]) / 10 < sum(seen[:10]) / 10 - 0.05


def test_attached_parts_leave_the_backbone_alone():
    plain, attached = (
        create_state(config(**settings), CLASSES, SHAPE, "cpu", PARTS).model
        for settings in ({"text": False, "alignment": None}, {})
    )
    kept = attached.state_dict()
    assert all(torch.equal(kept[name], value) for name, value in plain.state_dict().items())
    assert {name.split(".")[0] for name in kept.keys() - plain.state_dict().keys()} == {
        "projector",
        "text_embedder",
    }


def conditions(settings, data, steps=200):
    """Return for every sample: class dropped, text dropped, image and tokens mirrored alike."""
    draws = [make_batch(settings, step, data).draws for step in range(steps)]
    drop = torch.cat([each.drop for each in draws])
    text = torch.cat([each.drop if each.text_drop is None else each.text_drop for each in draws])
    alike = torch.cat(
        [each.flip == (each.flip if each.token_flip is None else each.token_flip) for each in draws]
    )
    return drop, text, alike


@pytest.mark.parametrize(
    ("compat", "joint", "mirrored_alike"), [("none", 0.1, 1.0), ("authors", 0.01, 0.5)]
)
def test_joint_drops(compat, joint, mirrored_alike, data):
    """One mask trains the null branch of guidance on 10 % of the samples, two masks on 1 %."""
    drop, text, alike = conditions(config(compat=compat), data)
    assert float(drop.float().mean()) == pytest.approx(0.1, abs=0.02)
    assert float(text.float().mean()) == pytest.approx(0.1, abs=0.02)
    assert float((drop & text).float().mean()) == pytest.approx(
        joint, abs=0.02 if compat == "none" else 0.006
    )
    assert float(alike.float().mean()) == pytest.approx(mirrored_alike, abs=0.03)


def test_the_null_class_has_no_text():
    """Whatever the texts are, the unconditional branch is the same."""
    state = create_state(config(), CLASSES, SHAPE, "cpu", PARTS)
    with torch.no_grad():
        for parameter in state.model.parameters():
            parameter.add_(0.1)
    model = state.model.eval()
    x = torch.randn(2, *SHAPE)
    t = torch.rand(2)
    null = torch.full((2,), CLASSES)
    labels = torch.tensor([0, 3])
    with torch.no_grad():
        before = [model(x, t, each) for each in (null, labels)]
        model.text_embedder.table[:CLASSES] += 1
        after = [model(x, t, each) for each in (null, labels)]
        assert torch.equal(model(x, t, labels, null), model(x, t, labels, null))
        assert not torch.equal(model(x, t, labels, null), after[1])
    assert torch.equal(before[0], after[0])
    assert not torch.equal(before[1], after[1])


def test_the_authors_label_table():
    state = create_state(
        config(compat="authors"), 1000, SHAPE, "cpu", Attachments(torch.zeros(1000, 3, 7).half(), 6)
    )
    assert float(state.model.y_embedder.embedding_table.weight.detach().std()) == pytest.approx(
        1, abs=0.02
    )


def test_checkpoints_keep_what_is_attached(data, tmp_path):
    store = Store(str(tmp_path))
    state = create_state(config(), CLASSES, SHAPE, "cpu", PARTS)
    for step in range(2):
        train_step(state, make_batch(state.config, step, data))
    model, _ = load_model(store, save_checkpoint(store, "run", state, fingerprint="x").directory)
    x = torch.randn(2, *SHAPE)
    t = torch.rand(2)
    labels = torch.tensor([1, CLASSES])
    with torch.no_grad():
        assert torch.equal(model(x, t, labels), state.ema(x, t, labels))
