"""The meta device in the part of a GPU: what the CPU would wait for is counted without any GPU.

Tensors of the CPU are real. Those of the "GPU" have a shape and no values, so that an operation
whose result the CPU has to look at fails.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

GPU = "meta"
aten = torch.ops.aten


class Waits(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations that stop the CPU until the GPU has caught up, and harmless copies."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []
        """Operations that wait."""
        self.copies = 0
        """Copies between pinned memory and the GPU, which do not."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = dict(kwargs or {})
        with self:
            parts = func.decompose(*args, **named)
        if parts is not NotImplemented:
            return parts
        if func.overloadpacket in (aten._to_copy, aten.copy_):
            return self._copy(func, args, named)
        used = {each.device.type for each in _tensors((args, named)) if each.dim()}
        if len(used) > 1:
            self.found.append(f"{func}: an implicit copy")
        return func(*args, **named)

    def _copy(self, func: Any, args: Any, named: Any) -> Any:
        inplace = func.overloadpacket is aten.copy_
        source = args[1] if inplace else args[0]
        target = args[0].device if inplace else torch.device(named.get("device") or source.device)
        if {source.device.type, target.type} != {"cpu", GPU}:
            return func(*args, **named)
        is_async = args[2:] == (True,) or named.get("non_blocking", False)
        host = source if source.device.type == "cpu" else args[0]
        if is_async and _is_pinned(host):
            self.copies += 1
        else:
            self.found.append(f"{func}: a copy from {source.device} to {target}")
        if target.type == GPU:
            return func(*args, **named)
        kind = named.get("dtype") or source.dtype
        return args[0] if inplace else torch.zeros(source.shape, dtype=kind)


PINNED: list[Tensor] = []
"""Tensors that would be in pinned memory; kept, so that their storages stay different."""


def _pinned(tensor: Tensor) -> Tensor:
    PINNED.append(tensor.clone())
    return PINNED[-1]


def _is_pinned(tensor: Tensor) -> bool:
    known = {each.untyped_storage()._cdata for each in PINNED}
    return tensor.untyped_storage()._cdata in known


def _tensors(values: Any) -> Iterator[Tensor]:
    for each in tree_leaves(values):
        if isinstance(each, Tensor):
            yield each


@contextmanager
def gpu_of_shapes() -> Iterator[None]:
    """Let the meta device do what a GPU can: it has no autocast, and refuses fused optimizers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tensor, "pin_memory", _pinned)
        patch.setattr(torch, "autocast", lambda *_args, **_options: nullcontext())
        adam = import_module("torch.optim.adam")
        patch.setattr(adam, "_device_dtype_check_for_fused", lambda *_args: None)
        clipping = import_module("torch.nn.utils.clip_grad")
        patch.setattr(clipping, "_device_has_foreach_support", lambda _device: True)
        yield
        PINNED.clear()
