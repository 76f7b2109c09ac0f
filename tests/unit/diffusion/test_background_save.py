"""Checkpoints in the background: the state of their step, and faults that reach the training."""

import threading

import pytest
import torch

from otcondense.diffusion import create_state, make_batch, train_step
from otcondense.diffusion.background_save import BackgroundSave, background_save
from otcondense.diffusion.checkpoint import save_checkpoint
from otcondense.store import Store

SHAPE = (1, 8, 8)
RUN = "training/run"
NOTHING = ((), None)


def advance(state, digits):
    train_step(state, make_batch(state.config, state.step, digits))


@pytest.fixture
def state(tiny_config, digits):
    made = create_state(tiny_config(), 10, SHAPE)
    advance(made, digits)
    return made


def files(store):
    return {name: store.read_bytes(name) for name in store.list(RUN)}


def test_a_save_is_of_its_step_though_training_goes_on(state, digits, tmp_path):
    """The thread waits until the next step is done, and then writes the state before it."""
    blocking, background = Store(str(tmp_path / "blocking")), Store(str(tmp_path / "background"))
    stepped, finished = threading.Event(), []
    for step in (1, 2):
        save_checkpoint(blocking, RUN, state, fingerprint="f")
        with background_save(background, RUN, "f") as save:
            save.prepare(state)
            save._thread.submit(stepped.wait)
            save.start(state, NOTHING, lambda step=step: finished.append(step))
            advance(state, digits)
            assert finished == list(range(1, step))
            stepped.set()
        assert finished == list(range(1, step + 1))
        stepped.clear()
    assert files(background) == files(blocking)
    assert len(files(background)) == 8


def broken(tmp_path):
    """Return a store in which nothing can be written: its root is a file."""
    (tmp_path / "file").touch()
    return Store(str(tmp_path / "file" / "run"))


@pytest.mark.parametrize("later", ["save", "end", "error"])
def test_a_failed_save_is_raised_by_what_comes_next(later, state, tmp_path):
    """At the next save, at the end, or in place of an error that came later."""
    reached = []

    def train():
        with background_save(broken(tmp_path), RUN, "f") as save:
            save.start(state, NOTHING, lambda: reached.append("then"))
            if later == "save":
                save.start(state, NOTHING, lambda: None)
                reached.append("saved again")
            if later == "error":
                raise RuntimeError("a worker is lost")

    with pytest.raises(OSError, match="Not a directory"):
        train()
    assert reached == []


def test_a_checkpoint_is_incomplete_until_its_last_file(state, tmp_path):
    """A failure in the middle leaves no checkpoint that training would resume from."""
    store = Store(str(tmp_path))
    save_checkpoint(store, RUN, state, fingerprint="f")
    place = f"{RUN}/checkpoints/step-000001"
    folder = tmp_path / place
    save = BackgroundSave(store, RUN, "f")
    save.prepare(state)
    moments = save._copy.parts["optimizer"]
    name = min(moments)
    moments[name] = moments[name].to(torch.complex64)  # a type that files do not have
    save.start(state, NOTHING, lambda: None)
    with pytest.raises(ValueError, match="complex"):
        save.close()
    assert not store.exists(f"{place}/state.json")
    assert all(not path.name.startswith(".tmp") for path in folder.iterdir())
