"""Batches on their way through a device: the next ones are copied and queued while one computes."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

Arrays = dict[str, NDArray[Any]]
Compute = Callable[..., dict[str, Tensor]]
"""Gets the tensors of a batch on the device, and returns results by name there, without waiting."""
DEPTH = 2
"""Batches that a GPU has been given beyond the one whose results are awaited.

While it computes one, the next waits on the device, so that the GPU is never without work.
"""


def results_in_order(
    compute: Compute, batches: Iterable[tuple[Tensor, ...]], device: torch.device
) -> Iterator[Arrays]:
    """Yield the results of each batch, on the CPU.

    On a CPU a batch is computed when its results are asked for. A GPU gets up to `DEPTH` batches
    ahead: their inputs are copied from pinned memory beside the computation, and results are
    awaited only when the next batches are queued.

    Args:
        compute: what the device does with a batch.
        batches: of tensors on the CPU or on the device; they are made as they are needed.
        device: where to compute.
    """
    if device.type == "cpu":
        for batch in batches:
            yield {name: values.numpy() for name, values in compute(*batch).items()}
        return
    make_stream: Any = torch.cuda.Stream
    copying = make_stream(device) if device.type == "cuda" else None
    waiting: deque[_Pending] = deque()
    for batch in batches:
        waiting.append(_started(compute, batch, device, copying))
        if len(waiting) > DEPTH:
            yield waiting.popleft().arrays()
    while waiting:
        yield waiting.popleft().arrays()


@dataclass(frozen=True)
class _Pending:
    """The results of a batch that the device may still be computing."""

    results: dict[str, Tensor]
    """In pinned memory."""
    finished: Any
    """Event after their copies; None without CUDA."""

    def arrays(self) -> Arrays:
        """Wait for the results and return them."""
        if self.finished is not None:
            self.finished.synchronize()
        return {name: values.numpy() for name, values in self.results.items()}


def _started(
    compute: Compute, batch: tuple[Tensor, ...], device: torch.device, copying: Any
) -> _Pending:
    if copying is None:
        inputs = [_copied(each, device) for each in batch]
        return _Pending(_to_host(compute(*inputs)), None)
    current: Any = torch.cuda.current_stream(device)
    with torch.cuda.stream(copying):
        inputs = [_copied(each, device) for each in batch]
    current.wait_stream(copying)
    for each in inputs:
        # Made on another stream: its memory must not be reused before this one has read it.
        each.record_stream(current)
    results = _to_host(compute(*inputs))
    make_event: Any = torch.cuda.Event
    finished = make_event()
    finished.record(current)
    return _Pending(results, finished)


def _copied(values: Tensor, device: torch.device) -> Tensor:
    """Return values on the device; a batch that was decoded there is there already."""
    if values.device.type == device.type:
        return values
    return values.pin_memory().to(device, non_blocking=True)


def _to_host(results: dict[str, Tensor]) -> dict[str, Tensor]:
    """Start the copies of results into pinned memory."""
    copies = {}
    for name, values in results.items():
        host = torch.empty(values.shape, dtype=values.dtype).pin_memory()
        copies[name] = host.copy_(values, non_blocking=True)
    return copies
