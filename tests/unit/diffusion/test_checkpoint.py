"""Checkpoints: exact resumption, damage, foreign configurations."""

import pytest
import torch

from otcondense.diffusion import create_state, make_batch, train_step
from otcondense.diffusion.checkpoint import load_model, restore_state, save_checkpoint
from otcondense.diffusion.checkpoint_files import (
    is_complete,
    latest_checkpoint,
    list_checkpoints,
    read_checkpoint,
)
from otcondense.diffusion.checkpoint_state import (
    DamagedCheckpointError,
    checkpoint_directory,
    open_checkpoint,
)
from otcondense.errors import InputError
from otcondense.store import Store
from tests.two_workers import count_reads, rot

SHAPE = (1, 8, 8)
RUN = "training/run"


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path))


def advance(state, digits, steps):
    return [
        float(train_step(state, make_batch(state.config, state.step, digits))["loss"])
        for _ in range(steps)
    ]


@pytest.fixture
def two_checkpoints(store, tiny_config, digits):
    """Checkpoints after 3 and 6 steps, and the state that went on to step 9 with its losses."""
    state = create_state(tiny_config(), 10, SHAPE)
    for _ in range(2):
        advance(state, digits, 3)
        save_checkpoint(store, RUN, state, fingerprint="run")
    return state, advance(state, digits, 3)


def all_bytes(state):
    return [
        tensor.numpy().tobytes()
        for model in (state.model, state.ema)
        for tensor in model.state_dict().values()
    ]


def test_resume_is_bit_exact(store, two_checkpoints, tiny_config, digits):
    straight, losses = two_checkpoints
    resumed = create_state(tiny_config(num_steps=99), 10, SHAPE)
    restore_state(store, latest_checkpoint(store, RUN), resumed, fingerprint="run")
    assert resumed.step == 6
    assert advance(resumed, digits, 3) == losses
    assert all_bytes(resumed) == all_bytes(straight)


def test_same_run_same_files(store, two_checkpoints, tiny_config, digits, tmp_path):
    other = Store(str(tmp_path / "again"))
    state = create_state(tiny_config(), 10, SHAPE)
    advance(state, digits, 6)
    save_checkpoint(other, RUN, state, fingerprint="run")
    names = other.list("training")
    assert len(names) == 4
    assert all(other.read_bytes(name) == store.read_bytes(name) for name in names)


def test_latest_and_before(store, two_checkpoints):
    assert list_checkpoints(store, RUN) == [3, 6]
    assert latest_checkpoint(store, RUN).step == 6
    assert latest_checkpoint(store, RUN, before=6).step == 3
    assert latest_checkpoint(store, RUN, before=3) is None
    assert latest_checkpoint(store, "training/none") is None


def truncate(store, name):
    store.write_bytes(name, store.read_bytes(name)[:-7])


def flip_a_bit(store, name):
    data = bytearray(store.read_bytes(name))
    data[-1] ^= 1
    store.write_bytes(name, bytes(data))


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, Store.remove])
@pytest.mark.parametrize(
    "file", ["model.safetensors", "ema.safetensors", "optimizer.safetensors", "state.json"]
)
def test_damaged_checkpoint_gives_way_to_the_older(file, damage, store, two_checkpoints):
    if file == "state.json" and damage is flip_a_bit:
        damage = truncate
    place = checkpoint_directory(RUN, 6)
    assert is_complete(store, RUN, 6, "run")
    damage(store, f"{place}/{file}")
    assert not is_complete(store, RUN, 6, "run")
    assert latest_checkpoint(store, RUN).step == 3
    with pytest.raises(InputError, match="step-000006"):
        read_checkpoint(store, place)


def test_known_files_are_not_read_and_lost_knowledge_costs_one_reading(
    store, two_checkpoints, monkeypatch
):
    read = count_reads(monkeypatch.setattr)
    assert is_complete(store, RUN, 3, "run")
    assert latest_checkpoint(store, RUN).step == 6
    assert read == {}
    store.remove("logs")
    for _ in range(2):
        assert is_complete(store, RUN, 6, "run")
        assert latest_checkpoint(store, RUN).step == 6
    place = checkpoint_directory(RUN, 6)
    parts = [f"{place}/{part}.safetensors" for part in ("ema", "model", "optimizer")]
    assert read == {name: store.size(name) for name in parts}


@pytest.mark.parametrize("use", ["sample", "resume", "verify"])
@pytest.mark.parametrize("part", ["ema", "optimizer", "model"])
def test_damage_that_size_and_time_hide_is_found_on_use(
    part, use, store, two_checkpoints, tiny_config
):
    """Whoever finds it lets the next start find it, too."""
    place = checkpoint_directory(RUN, 6)
    rot(store, f"{place}/{part}.safetensors")
    assert is_complete(store, RUN, 6, "run")
    state = create_state(tiny_config(), 10, SHAPE)
    before = all_bytes(state)
    message = rf"step-000006 is damaged .*{part}.*SHA-256"
    if use == "sample":
        with pytest.raises(DamagedCheckpointError, match=message):
            load_model(store, place, weights=part)
    elif use == "verify":
        with pytest.raises(DamagedCheckpointError, match=message):
            read_checkpoint(store, place)
    else:
        checkpoint = open_checkpoint(store, place)
        with pytest.raises(DamagedCheckpointError, match=message):
            restore_state(store, checkpoint, state, fingerprint="run")
    assert (state.step, all_bytes(state)) == (0, before)
    assert not is_complete(store, RUN, 6, "run")
    assert latest_checkpoint(store, RUN).step == 3


def test_a_sampler_reads_the_weights_it_needs_and_nothing_else(store, two_checkpoints, monkeypatch):
    read = count_reads(monkeypatch.setattr)
    place = checkpoint_directory(RUN, 6)
    load_model(store, place)
    name = f"{place}/ema.safetensors"
    assert read == {name: store.size(name)}


def test_other_configuration_is_refused(store, two_checkpoints, tiny_config):
    state = create_state(tiny_config(learning_rate=0.5), 10, SHAPE)
    with pytest.raises(InputError, match=r"learning_rate: expected 0.5, found 0.002"):
        restore_state(store, latest_checkpoint(store, RUN), state, fingerprint="run")
    assert state.step == 0


def test_other_inputs_are_refused(store, two_checkpoints, tiny_config):
    with pytest.raises(InputError, match="other inputs"):
        restore_state(
            store,
            latest_checkpoint(store, RUN),
            create_state(tiny_config(), 10, SHAPE),
            fingerprint="another",
        )
    assert not is_complete(store, RUN, 6, "another")


@pytest.mark.parametrize(("weights", "same"), [("ema", "ema"), ("model", "model")])
def test_load_model(weights, same, store, tiny_config, digits):
    state = create_state(tiny_config(), 10, SHAPE)
    advance(state, digits, 2)
    place = save_checkpoint(store, RUN, state, fingerprint="run").directory
    model, checkpoint = load_model(store, place, weights=weights)
    x = torch.randn(2, *SHAPE)
    t = torch.rand(2)
    labels = torch.tensor([1, 10])
    with torch.no_grad():
        assert torch.equal(model(x, t, labels), getattr(state, same)(x, t, labels))
    assert checkpoint.state.objective == "sit-linear"
    assert not model.training


def test_state_records_the_time_convention(store, two_checkpoints):
    state = store.read_json(f"{checkpoint_directory(RUN, 3)}/state.json")
    assert "t=0 noise, t=1 data" in state["time_convention"]
    assert state["num_classes"] == 10
    assert state["image_shape"] == [1, 8, 8]


@pytest.mark.parametrize(
    ("key", "value"), [("objective", "consistency"), ("time_convention", "t=1 noise")]
)
def test_unknown_objective_or_convention(key, value, store, two_checkpoints):
    name = f"{checkpoint_directory(RUN, 3)}/state.json"
    store.write_json(name, {**store.read_json(name), key: value})
    with pytest.raises(InputError, match=value):
        load_model(store, checkpoint_directory(RUN, 3))
