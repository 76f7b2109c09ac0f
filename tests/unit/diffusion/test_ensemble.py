"""Models trained at once against the same models trained one after another."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from otcondense.diffusion import Pixels, TrainingSet, create_state, make_batch, train_step
from otcondense.diffusion.checkpoint import restore_state, save_checkpoint
from otcondense.diffusion.checkpoint_state import open_checkpoint
from otcondense.diffusion.ensemble import (
    MEMORY_SHARE,
    ensemble_losses,
    ensemble_of,
    ensemble_step,
    models_that_fit,
)
from otcondense.diffusion.ensemble_batches import ensemble_data, make_ensemble_batch
from otcondense.diffusion.forecast import forecast_training
from otcondense.store import Store

SHAPE = (1, 8, 8)
SEEDS = (0, 5, 0)
"""Two of them are the same, as in a comparison of methods."""
SIZES = (6, 19, 30)
"""Images of each model: fewer than a batch, and two other numbers."""
STEPS = 7
"""Warm-up ends at 5."""
ROUNDING = {"rtol": 2e-4, "atol": 2e-6}


def trainings(digits, make, **settings):
    configs = [make(seed=seed, flip=True, **settings) for seed in SEEDS]
    images = digits.source.images
    sets = []
    for number, size in enumerate(SIZES):
        chosen = torch.from_numpy(np.random.default_rng(number).permutation(30)[:size])
        sets.append(TrainingSet(Pixels(images[chosen]), digits.labels[chosen]))
    return configs, sets


def trained_alone(config, data, steps=STEPS):
    state = create_state(config, 10, SHAPE)
    metrics = [train_step(state, make_batch(config, step, data)) for step in range(steps)]
    return state, metrics


def trained_at_once(configs, sets, steps=STEPS):
    ensemble = ensemble_of([create_state(config, 10, SHAPE) for config in configs])
    data = ensemble_data(configs, sets)
    metrics = [ensemble_step(ensemble, make_ensemble_batch(data, step)) for step in range(steps)]
    return ensemble, metrics


@pytest.mark.parametrize(("family", "noise_shift"), [("SiT", 1.0), ("DiT", 1.0), ("SiT", 3.0)])
def test_the_batches_are_those_of_each_training(family, noise_shift, tiny_config, digits):
    shared = {"noise_shift": noise_shift}
    configs, sets = trainings(digits, lambda **given: tiny_config(family, **shared, **given))
    data = ensemble_data(configs, sets)
    for step in (0, 3):
        found = make_ensemble_batch(data, step)
        alone = [make_batch(*each) for each in zip(configs, [step] * 3, sets, strict=True)]
        assert torch.equal(found.x, torch.cat([each.x for each in alone]))
        assert torch.equal(found.labels, torch.cat([each.labels for each in alone]))
        for name in ("noise", "uniform", "drop", "flip"):
            parts = [getattr(each.draws, name) for each in alone]
            assert torch.equal(getattr(found.draws, name), torch.cat(parts)), name


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("SiT", {"grad_clip": 0.05, "weight_decay": 0.1}),
        ("DiT", {"grad_clip": None}),
    ],
)
def test_steps_are_those_of_each_training_up_to_rounding(family, settings, tiny_config, digits):
    """Losses, norms, weights, averages and moments, after clipping, warm-up and drops."""
    configs, sets = trainings(digits, lambda **given: tiny_config(family, **given, **settings))
    ensemble, found = trained_at_once(configs, sets)
    for number, (config, data) in enumerate(zip(configs, sets, strict=True)):
        state, expected = trained_alone(config, data)
        member = ensemble.members[number]
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one.loss[number], other["loss"], **ROUNDING)
            torch.testing.assert_close(one.grad_norm[number], other["grad_norm"], **ROUNDING)
        if config.grad_clip is not None:
            assert all(metrics["grad_norm"] > config.grad_clip for metrics in expected)
        torch.testing.assert_close(member.weights, state.weights, **ROUNDING)
        torch.testing.assert_close(member.averages, state.averages, **ROUNDING)
        for one, other in zip(member.weights, state.weights, strict=True):
            for moment in ("exp_avg", "exp_avg_sq"):
                left, right = (
                    each.optimizer.state[weight][moment]
                    for each, weight in ((member, one), (state, other))
                )
                torch.testing.assert_close(left, right, rtol=2e-3, atol=1e-6)
        assert member.step == state.step == STEPS


def test_members_do_not_touch_each_other(tiny_config, digits):
    """A model that diverges leaves the others as they are, to the last bit."""
    configs, sets = trainings(digits, tiny_config)
    ensembles = []
    for broken in (False, True):
        ensemble = ensemble_of([create_state(config, 10, SHAPE) for config in configs])
        if broken:
            ensemble.members[1].weights[0].data.fill_(float("nan"))
        data = ensemble_data(configs, sets)
        metrics = [ensemble_step(ensemble, make_ensemble_batch(data, step)) for step in range(2)]
        ensembles.append((ensemble, metrics[-1].loss))
    (plain, losses), (hurt, other_losses) = ensembles
    assert other_losses[1].isnan()
    for number in (0, 2):
        assert losses[number] == other_losses[number]
        for one, other in zip(
            plain.members[number].weights, hurt.members[number].weights, strict=True
        ):
            assert torch.equal(one, other)


class Counted(TorchDispatchMode):
    """Counts the operations on tensors by their name."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.counts[str(operation)] += 1
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_no_operation_is_done_model_by_model(precision, tiny_config, digits):
    """Six models take the operations of three."""
    counts = []
    for repeats in (1, 2):
        configs, sets = trainings(
            digits, lambda **given: tiny_config("DiT", precision=precision, **given)
        )
        configs, sets = repeats * configs, repeats * sets
        ensemble = ensemble_of([create_state(config, 10, SHAPE) for config in configs])
        batch = make_ensemble_batch(ensemble_data(configs, sets), 0)
        with Counted() as counted:
            ensemble_step(ensemble, batch)
        counts.append(counted.counts)
    assert counts[0] == counts[1]
    assert counts[0]["aten.bmm.default"] > 0


def test_bfloat16_stays_close(tiny_config, digits):
    configs, sets = trainings(digits, lambda **given: tiny_config(precision="bfloat16", **given))
    _, found = trained_at_once(configs, sets, steps=3)
    for number, (config, data) in enumerate(zip(configs, sets, strict=True)):
        _, expected = trained_alone(config, data, steps=3)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one.loss[number], other["loss"], rtol=1e-2, atol=1e-2)


def test_a_member_is_saved_and_goes_on_like_any_training(tiny_config, digits, tmp_path):
    """An ensemble of restored members does the same steps; the checkpoint says how it was made."""
    configs, sets = trainings(digits, tiny_config)
    whole, _ = trained_at_once(configs, sets)
    early, _ = trained_at_once(configs, sets, steps=3)
    store = Store(str(tmp_path))
    restored = []
    for number, member in enumerate(early.members):
        saved = save_checkpoint(store, f"run-{number}", member, fingerprint="inputs")
        assert open_checkpoint(store, saved.directory).state.ensemble_size == len(SEEDS)
        state = create_state(configs[number], 10, SHAPE)
        restore_state(store, saved, state, fingerprint="inputs")
        restored.append(state)
    again = ensemble_of(restored)
    data = ensemble_data(configs, sets)
    for step in range(3, STEPS):
        ensemble_step(again, make_ensemble_batch(data, step))
    for one, other in zip(again.members, whole.members, strict=True):
        for left, right in zip(
            [*one.weights, *one.averages], [*other.weights, *other.averages], strict=True
        ):
            assert torch.equal(left, right)


def test_a_training_that_goes_on_alone_remembers_the_ensemble(tiny_config, digits, tmp_path):
    configs, sets = trainings(digits, tiny_config)
    ensemble, _ = trained_at_once(configs, sets, steps=2)
    store = Store(str(tmp_path))
    saved = save_checkpoint(store, "run", ensemble.members[0], fingerprint="inputs")
    state = create_state(configs[0], 10, SHAPE)
    assert (
        "ensemble_size"
        not in save_checkpoint(store, "other", state, fingerprint="inputs").state.to_json()
    )
    restore_state(store, saved, state, fingerprint="inputs")
    train_step(state, make_batch(configs[0], 2, sets[0]))
    later = save_checkpoint(store, "run", state, fingerprint="inputs")
    assert later.state.ensemble_size == len(SEEDS)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_activations_fit_into_the_share_of_the_memory(precision, tiny_config, digits):
    """What the backward pass needs, for all models, is less than the memory they are given."""
    configs, sets = trainings(digits, lambda **given: tiny_config(precision=precision, **given))
    ensemble = ensemble_of([create_state(config, 10, SHAPE) for config in configs])
    batch = make_ensemble_batch(ensemble_data(configs, sets), 0)
    state = {weight.untyped_storage().data_ptr() for weight in ensemble.weights}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        ensemble_losses(ensemble, batch)
    found = sum(size for place, (size, _) in kept.items() if place not in state)
    forecast = len(configs) * forecast_training(configs[0], 10, SHAPE).activation_bytes
    assert 0.8 * forecast < found < 0.9 * forecast / MEMORY_SHARE


def test_as_many_models_as_memory_allows(tiny_config):
    config = tiny_config()
    few, many = (models_that_fit(config, 10, SHAPE, free) for free in (10**8, 10**9))
    assert 1 < few < many <= 10 * few + 10
    assert models_that_fit(config, 10, SHAPE, 1) == 1
    larger = config.model_copy(update={"global_batch_size": 80})
    assert models_that_fit(larger, 10, SHAPE, 10**9) < many
