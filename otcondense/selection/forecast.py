"""How much memory and time a class will take, before anything is allocated."""

import os
import resource
from dataclasses import dataclass

import torch

from otcondense.errors import InputError
from otcondense.selection.base import Candidates

DOUBLE = 8
SECONDS_PER_PAIR = 6e-9
SECONDS_PER_PRODUCT = 4e-11


@dataclass(frozen=True)
class Forecast:
    """Peak memory in bytes and time in seconds on two CPU cores; the time is right within a factor of a few."""

    memory_bytes: int
    seconds: float


def forecast(size: int, width: int, budget: int, *, full_statistics: bool = False) -> Forecast:
    """Return what selecting `budget` of `size` images with `width` features takes.

    The cost matrix, its kernel and what they are made from dominate the memory (24 bytes a pair: 9.98 GB for 20,000 images, where the process peaked at 10.26), the bounds of about 8 dual points a chosen image the time.
    """
    pairs = size * size
    matrices = 3 + (3 if full_statistics else 0)
    rows = 4 * size * width
    memory = DOUBLE * (matrices * pairs + rows + 6 * budget * size) + (200 << 20)
    seconds = SECONDS_PER_PRODUCT * pairs * width + SECONDS_PER_PAIR * pairs * 8 * budget
    return Forecast(memory, seconds)


def available_memory(device: str) -> int:
    """Return the memory of the device in bytes: all of a GPU, or of the machine."""
    if torch.device(device).type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def peak_memory(device: str) -> int:
    """Return the largest memory in bytes so far: of the GPU's allocator, or of this process."""
    if torch.device(device).type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def check_memory(
    candidates: Candidates,
    limit_gb: float | None,
    device: str,
    *,
    budget: int = 1,
    full_statistics: bool = False,
) -> Forecast:
    """Refuse a class that would not fit.

    Raises: InputError with the forecast and the limit.
    """
    width = 0 if candidates.features is None else candidates.features.shape[1]
    expected = forecast(candidates.size, width, budget, full_statistics=full_statistics)
    limit = limit_gb * 1e9 if limit_gb is not None else 0.9 * available_memory(device)
    if expected.memory_bytes > limit:
        raise InputError(
            f"a class of {candidates.size} images must fit into memory_limit_gb ({limit / 1e9:.2f} GB), found a forecast of "
            f"{expected.memory_bytes / 1e9:.2f} GB; raise the limit or split the class"
        )
    return expected
