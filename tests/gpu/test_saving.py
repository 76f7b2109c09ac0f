"""Checkpoints of a training on a GPU: the host does not wait for their copies."""

import pytest
import torch

from otcondense.diffusion import (
    ModelConfig,
    Pixels,
    TrainingConfig,
    TrainingSet,
    create_state,
    make_batch,
    train_step,
)
from otcondense.diffusion.background_save import HostCopy, background_save
from otcondense.diffusion.checkpoint import restore_state, save_checkpoint
from otcondense.diffusion.checkpoint_state import open_checkpoint
from otcondense.store import Store

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
LONG = 10**9
"""Cycles of the GPU: half a second."""


@pytest.fixture
def training():
    images = torch.arange(20 * 64, dtype=torch.int32).reshape(20, 1, 8, 8).to(torch.uint8).cuda()
    data = TrainingSet(Pixels(images), (torch.arange(20) % 10).cuda())
    model = ModelConfig(width=32, depth=2, num_heads=2)
    config = TrainingConfig(model=model, global_batch_size=4, num_workers=1)
    state = create_state(config, 10, (1, 8, 8), "cuda")

    def step():
        train_step(state, make_batch(config, state.step, data))

    step()
    return state, step


def files(store):
    return {name: store.read_bytes(name) for name in store.list("run")}


def test_the_copy_is_queued_and_not_waited_for(training):
    state, _ = training
    copy = HostCopy(state)
    assert all(tensor.is_pinned() for tensors in copy.parts.values() for tensor in tensors.values())
    copy.fill(state)()
    before = torch.cuda.Event()
    torch.cuda._sleep(LONG)
    before.record()
    wait = copy.fill(state)
    assert not before.query(), "filling waited for the GPU"
    wait()
    assert before.query()


def test_the_state_of_the_step_is_saved_though_training_goes_on(training, tmp_path):
    state, step = training
    blocking, background = Store(str(tmp_path / "a")), Store(str(tmp_path / "b"))
    save_checkpoint(blocking, "run", state, fingerprint="f")
    with background_save(background, "run", "f") as save:
        torch.cuda._sleep(LONG)
        save.start(state, ((), None), lambda: None)
        step()
    assert files(background) == files(blocking)


def test_training_goes_on_from_a_checkpoint_bit_for_bit(training, tmp_path):
    state, _ = training
    store = Store(str(tmp_path))
    place = save_checkpoint(store, "run", state, fingerprint="f").directory
    other = create_state(state.config, 10, (1, 8, 8), "cuda")
    restore_state(store, open_checkpoint(store, place), other, fingerprint="f")
    for name, tensor in state.model.state_dict().items():
        assert torch.equal(tensor, other.model.state_dict()[name])
    for one, same in zip(state.weights, other.weights, strict=True):
        for moment in ("step", "exp_avg", "exp_avg_sq"):
            found = other.optimizer.state[same][moment]
            assert found.device == same.device
            assert torch.equal(state.optimizer.state[one][moment], found)
