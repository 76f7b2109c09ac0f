"""What the device can do at best: matrix products and copies. All other parts refer to it."""

from functools import partial

import torch

from benchmarks.gpu_all.cases import Case, Figures, Setting, paced

SIDE = 8192
"""Side of the matrices: large enough to reach the peak."""
COPY_BYTES = 2**32
"""Size of a copy within the device: far beyond its caches."""
HOST_BYTES = 2**28
"""Size of a copy from the host."""
PEAK_CASE = "bfloat16"
"""The case whose figure is the peak of the other parts."""
PRECISIONS = {
    PEAK_CASE: (torch.bfloat16, "highest"),
    "tf32": (torch.float32, "high"),
    "float32": (torch.float32, "highest"),
    "float64": (torch.float64, "highest"),
}
"""Type of the matrices, and torch's precision of their products."""


def products(setting: Setting, name: str) -> Figures:
    """Return the operations a second of a large matrix product."""
    side = setting.size(SIDE, 256)
    dtype, precision = PRECISIONS[name]
    left = torch.randn(side, side, device=setting.device).to(dtype)
    right = torch.randn(side, side, device=setting.device).to(dtype)
    torch.set_float32_matmul_precision(precision)
    try:
        seconds = paced(setting, lambda: left @ right, 1.0)
    finally:
        torch.set_float32_matmul_precision("highest")
    return {"TFLOP_per_s": 2 * side**3 / seconds / 1e12}


def copy_within(setting: Setting) -> Figures:
    """Return the bytes a second read and written by a copy within the device."""
    source = torch.zeros(setting.size(COPY_BYTES, 2**20), dtype=torch.uint8, device=setting.device)
    target = torch.empty_like(source)
    seconds = paced(setting, lambda: target.copy_(source), 0.5)
    return {"GB_per_s": 2 * len(source) / seconds / 1e9}


def copy_from_host(setting: Setting, *, pinned: bool) -> Figures:
    """Return the bytes a second of a copy from the host."""
    source = torch.zeros(setting.size(HOST_BYTES, 2**20), dtype=torch.uint8)
    if pinned and setting.device == "cuda":
        source = source.pin_memory()
    target = torch.empty(len(source), dtype=torch.uint8, device=setting.device)
    seconds = paced(setting, lambda: target.copy_(source, non_blocking=True), 0.5)
    return {"GB_per_s": len(source) / seconds / 1e9}


def cases() -> list[Case]:
    """Return the cases, the peak first."""
    return [
        *(Case(name, 2, partial(products, name=name)) for name in PRECISIONS),
        Case("copy_within", 2, copy_within),
        Case("copy_from_pinned_host", 2, partial(copy_from_host, pinned=True)),
        Case("copy_from_host", 2, partial(copy_from_host, pinned=False)),
    ]
