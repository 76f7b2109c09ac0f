"""Checkpoints that are written while training goes on.

The state is copied to buffers of the host; the copies are queued behind the finished step, so that
training waits for them and for nothing else. A thread then writes and hashes the buffers.
`torch.distributed.checkpoint.async_save` does the same, but its files need pickle and depend on the
number of workers. A checkpoint here has the same safetensors and JSON for any number of workers.

Buffers take as much memory of the first worker's host as a checkpoint takes on the disk, once.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from otcondense.diffusion.checkpoint import Draft, described, saved_tensors, write_draft
from otcondense.diffusion.checkpoint_state import checkpoint_directory
from otcondense.diffusion.loss_lines import LossLine, PartialLine
from otcondense.diffusion.training import TrainState
from otcondense.store import Store


class HostCopy:
    """Buffers on the host for all tensors of a training, made once."""

    def __init__(self, state: TrainState) -> None:
        """Make the buffers: in pinned memory, if the training is on a GPU."""
        self.parts = {
            part: {name: _buffer(tensor) for name, tensor in tensors.items()}
            for part, tensors in saved_tensors(state).items()
        }

    def fill(self, state: TrainState) -> Callable[[], None]:
        """Copy the state; return a function that waits until the copies from a GPU are done."""
        for part, tensors in saved_tensors(state).items():
            for name, tensor in tensors.items():
                self.parts[part][name].copy_(tensor, non_blocking=True)
        device = next(iter(state.weights)).device
        if device.type != "cuda":
            return _nothing
        make_event: Any = torch.cuda.Event
        copied = make_event()
        copied.record(torch.cuda.current_stream(device))
        wait: Callable[[], None] = copied.synchronize
        return wait


def _buffer(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)


def _nothing() -> None:
    pass


class BackgroundSave:
    """Writes the checkpoints of one training in a thread, one after another."""

    def __init__(self, store: Store, directory: str, fingerprint: str) -> None:
        self._store = store
        self._directory = directory
        self._fingerprint = fingerprint
        self._copy: HostCopy | None = None
        self._pending: Future[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")

    def prepare(self, state: TrainState) -> None:
        """Make the buffers: pinning gigabytes takes seconds, better before the first step."""
        self._copy = HostCopy(state)

    def start(
        self,
        state: TrainState,
        curve: tuple[tuple[LossLine, ...], PartialLine | None],
        then: Callable[[], None],
    ) -> None:
        """Copy the state and let the thread write its checkpoint.

        Args:
            state: the training; it may change once this function has returned.
            curve: the loss curve so far, and the sums of its last line.
            then: what the thread does once the checkpoint is complete.

        Raises: the error of the save before, if it failed.
        """
        self.wait()
        if self._copy is None:
            self.prepare(state)
        assert self._copy is not None
        copied = self._copy.fill(state)
        lines, partial = curve
        record = replace(described(state, self._fingerprint), curve=lines, partial=partial)
        draft = Draft(self._copy.parts, record)
        place = checkpoint_directory(self._directory, state.step)

        def write() -> None:
            copied()
            write_draft(self._store, place, draft)
            then()

        self._pending = self._thread.submit(write)

    def wait(self) -> None:
        """Wait until the last checkpoint is complete.

        Raises: the error that its write ended with.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Wait like `wait`, and end the thread."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()


@contextmanager
def background_save(store: Store, directory: str, fingerprint: str) -> Iterator[BackgroundSave]:
    """Yield the writer of a training's checkpoints; at the end, wait for the last one.

    Raises: the error of a save that failed, also if training has failed since: the save came first.
    """
    save = BackgroundSave(store, directory, fingerprint)
    try:
        yield save
    finally:
        save.close()
