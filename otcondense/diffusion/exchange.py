"""Exchange of texts and errors between the workers of a training.

Texts go as bytes in tensors, on the device of the worker: `torch.distributed` would pickle objects,
and choose the device itself.
"""

import json
from typing import Any

import torch
from torch import Tensor

from otcondense.errors import InputError


def number_of_workers() -> int:
    """Return the number of workers of the training that this process belongs to, at least 1."""
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return 1
    return torch.distributed.get_world_size()


def gather_texts(text: str, device: str) -> list[str]:
    """Return the texts of all workers, by rank; every worker must call it."""
    own = torch.tensor(list(text.encode()), dtype=torch.uint8, device=device)
    sizes = _gathered(torch.tensor([len(own)], device=device))
    lengths = [int(size) for size in torch.cat(sizes).tolist()]

    padded = torch.zeros(max(1, *lengths), dtype=torch.uint8, device=device)
    padded[: len(own)] = own
    texts = zip(_gathered(padded), lengths, strict=True)
    return [bytes(data[:length].tolist()).decode() for data, length in texts]


def _gathered(values: Tensor) -> list[Tensor]:
    gathered = [torch.empty_like(values) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(gathered, values)
    return gathered


def error_text(error: Exception) -> str:
    """Return an error as a text for other workers."""
    number = error.errno if isinstance(error, OSError) else None
    found = {"mistake": isinstance(error, InputError), "errno": number, "text": str(error)}
    return json.dumps(found)


def error_of(text: str) -> Exception:
    """Return an error of the same kind as the one in another worker: mistake, storage or other."""
    found: dict[str, Any] = json.loads(text)
    if found["mistake"]:
        return InputError(found["text"])
    if found["errno"] is not None:
        return OSError(found["errno"], found["text"])
    return RuntimeError(found["text"])
