"""The training step: against plain PyTorch, over workers, over the null class, and over time."""

import itertools
import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from otcondense.diffusion import TrainingConfig, create_state, make_batch, train_step
from otcondense.diffusion.training import batch_loss, learning_rate
from otcondense.store.images import to_bytes, to_unit_range

SHAPE = (1, 8, 8)
GOLDEN = Path(__file__).parents[2] / "golden" / "loss_curves.json"


def curve(config, digits, steps=20):
    state = create_state(config, 10, SHAPE)
    return [
        float(train_step(state, make_batch(config, state.step, digits))["loss"])
        for _ in range(steps)
    ]


@pytest.mark.parametrize("family", ["SiT", "DiT"])
def test_golden_curve(family, tiny_config, digits):
    first, again = (curve(tiny_config(family), digits) for _ in range(2))
    assert first == again
    assert first == pytest.approx(json.loads(GOLDEN.read_text())[family], abs=1e-5)


@pytest.mark.parametrize("family", ["SiT", "DiT"])
@pytest.mark.parametrize("world_size", [2, 4])
def test_worlds_agree(family, world_size, tiny_config, digits):
    """The gradients of the workers' shares average to the gradient of the whole batch."""
    config = tiny_config(family, flip=True)

    def gradients(share):
        state = create_state(config, 10, SHAPE)
        for _ in range(3):
            train_step(state, make_batch(config, state.step, digits))
        state.optimizer.zero_grad()
        loss = batch_loss(state, make_batch(config, 3, digits, share))
        loss.backward()
        return loss.item(), torch.cat(
            [parameter.grad.flatten() for parameter in state.model.parameters()]
        )

    alone = gradients((0, 1))
    parts = [gradients((rank, world_size)) for rank in range(world_size)]
    assert sum(loss for loss, _ in parts) / world_size == pytest.approx(alone[0], rel=1e-5)
    torch.testing.assert_close(
        torch.stack([gradient for _, gradient in parts]).mean(dim=0), alone[1], rtol=1e-4, atol=1e-6
    )


def test_one_step_is_adamw_with_clipping(tiny_config, digits):
    config = tiny_config(grad_clip=0.01, weight_decay=0.1)
    state, plain = create_state(config, 10, SHAPE), create_state(config, 10, SHAPE)
    batch = make_batch(config, 0, digits)
    metrics = train_step(state, batch)
    optimizer = torch.optim.AdamW(
        plain.model.parameters(), lr=config.learning_rate / 5, weight_decay=0.1, foreach=False
    )
    loss = batch_loss(plain, batch)
    loss.backward()
    norm = torch.cat([parameter.grad.flatten() for parameter in plain.model.parameters()]).norm()
    for parameter in plain.model.parameters():
        parameter.grad *= 0.01 / norm
    optimizer.step()
    assert metrics["loss"].item() == loss.item()
    assert float(metrics["grad_norm"]) == pytest.approx(float(norm), rel=1e-5)
    for ours, theirs in zip(state.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_ema_is_the_recursion(tiny_config, digits):
    config = tiny_config(ema_decay=0.9)
    state = create_state(config, 10, SHAPE)
    expected = state.model.final_layer.linear.weight.detach().clone()
    for _ in range(4):
        train_step(state, make_batch(config, state.step, digits))
        expected = 0.9 * expected + 0.1 * state.model.final_layer.linear.weight.detach()
    torch.testing.assert_close(state.ema.final_layer.linear.weight, expected)
    assert not any(parameter.requires_grad for parameter in state.ema.parameters())


def test_dropped_labels_train_the_null_class(tiny_config, digits):
    """Dropped samples reach the null row of the label table, and no row of a class."""
    config = tiny_config(label_drop=0.5)
    state = create_state(config, 10, SHAPE)
    for _ in range(3):
        train_step(state, make_batch(config, state.step, digits))
    batch = make_batch(config, 5, digits)
    state.optimizer.zero_grad()
    batch_loss(state, batch).backward()
    rows = state.model.y_embedder.embedding_table.weight.grad.abs().sum(dim=1)
    seen = set(torch.nonzero(rows).flatten().tolist())
    assert batch.draws.drop.any()
    assert seen == {10, *batch.labels[~batch.draws.drop].tolist()}


def test_share_of_dropped_samples_over_a_run(tiny_config, digits):
    config = tiny_config(global_batch_size=100)
    drops = torch.cat([make_batch(config, step, digits).draws.drop for step in range(100)])
    assert float(drops.float().mean()) == pytest.approx(0.1, abs=0.01)


def test_flipped_images_are_mirrored(tiny_config, digits):
    plain, flipped = (make_batch(tiny_config(flip=flip), 0, digits) for flip in (False, True))
    mirrored = flipped.draws.flip
    assert mirrored.any()
    assert not mirrored.all()
    assert torch.equal(flipped.x[mirrored], plain.x[mirrored].flip(-1))
    assert torch.equal(flipped.x[~mirrored], plain.x[~mirrored])


def test_bytes_survive_the_round_trip():
    every = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert torch.equal(to_bytes(to_unit_range(every)), every)
    assert to_bytes(torch.tensor([-3.0, 3.0]).view(1, 1, 1, 2)).flatten().tolist() == [0, 255]


def test_warm_up(tiny_config):
    config = tiny_config(learning_rate=1.0, warmup_steps=4)
    assert [learning_rate(config, step) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert learning_rate(tiny_config(learning_rate=1.0, warmup_steps=0), 0) == 1.0


@pytest.mark.parametrize(("decay", "halfway"), [("linear", 0.5), ("cosine", 0.5)])
def test_decay(decay, halfway, tiny_config):
    config = tiny_config(learning_rate=1.0, warmup_steps=4, decay=decay, decay_steps=24)
    rates = [learning_rate(config, step) for step in range(30)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates[14] == pytest.approx(halfway)
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[4:25]))
    assert rates[24:] == pytest.approx([0] * 6)
    assert config.identity() != tiny_config(learning_rate=1.0, warmup_steps=4).identity()


@pytest.mark.parametrize("parts", [2, 4])
def test_parts_add_up_to_the_whole(parts, tiny_config, digits):
    whole, cut = (
        create_state(tiny_config("DiT", accumulation=count), 10, SHAPE) for count in (1, parts)
    )
    for step in range(4):
        once = train_step(whole, make_batch(whole.config, step, digits))
        pieces = train_step(
            cut, *(make_batch(cut.config, step, digits, (part, parts)) for part in range(parts))
        )
        assert float(pieces["loss"]) == pytest.approx(float(once["loss"]), rel=1e-4)
        assert float(pieces["grad_norm"]) == pytest.approx(float(once["grad_norm"]), rel=1e-3)


@pytest.mark.full
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"
)
def test_compiled_blocks_train_alike(tiny_config, digits):
    plain, compiled = (curve(tiny_config(compile_blocks=each), digits, 5) for each in (False, True))
    assert compiled == pytest.approx(plain, rel=1e-4)
    names = create_state(tiny_config(compile_blocks=True), 10, SHAPE).model.state_dict().keys()
    assert names == create_state(tiny_config(), 10, SHAPE).model.state_dict().keys()


@pytest.mark.parametrize("family", ["SiT", "DiT"])
def test_bfloat16_is_close(family, tiny_config, digits):
    exact, rounded = (
        curve(tiny_config(family, precision=precision), digits, 3)
        for precision in ("float32", "bfloat16")
    )
    assert rounded == pytest.approx(exact, rel=0.02)
    assert rounded != exact


@pytest.mark.parametrize(("family", "below"), [("SiT", 0.75), ("DiT", 0.5)])
def test_loss_falls(family, below, tiny_config, digits):
    losses = curve(tiny_config(family, global_batch_size=16, learning_rate=4e-3), digits, 80)
    assert sum(losses[-10:]) < below * sum(losses[:10])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_workers": 3, "global_batch_size": 64}, "3 workers for 64 images"),
        (
            {"num_workers": 2, "accumulation": 3, "global_batch_size": 64},
            "2 workers of 3 parts each for 64 images",
        ),
        ({"decay": "cosine"}, "decay=cosine with decay_steps=None"),
        ({"decay": "linear", "decay_steps": 100}, "above warmup_steps 100, found 100"),
        ({"alignment": {"depth": 8}}, "among the 4 blocks of the model, found 8"),
        ({"num_steps": 100, "checkpoint_steps": (600,)}, r"found \[600\]"),
        ({"objective": "dit", "model": {"learn_sigma": False}}, "learn_sigma"),
        ({"model": {"name": "SiT-demo"}}, "SiT-demo"),
        ({"learning_rte": 1e-3}, "learning_rte"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValidationError, match=message):
        TrainingConfig(**settings)


def test_identity_ignores_scheduling(tiny_config):
    assert (
        tiny_config(
            num_workers=4, num_steps=50, log_every=7, grid_every=3, keep_best="held_out_loss"
        ).identity()
        == tiny_config().identity()
    )
    assert tiny_config(seed=1).identity() != tiny_config().identity()


def test_identity_is_that_of_the_first_checkpoints():
    """Newer fields do not change the directories of earlier trainings."""
    names = {
        *("model", "objective", "global_batch_size", "learning_rate", "warmup_steps"),
        *("weight_decay", "ema_decay", "label_drop", "grad_clip", "precision", "flip", "seed"),
    }
    assert set(TrainingConfig().identity()) == names


def test_earlier_settings_of_the_best_checkpoint_are_understood():
    assert TrainingConfig(keep_best=True).keep_best == "loss"
    assert TrainingConfig(keep_best=False) == TrainingConfig()
    with pytest.raises(ValueError, match="held_out_loss"):
        TrainingConfig(keep_best="held_out")
