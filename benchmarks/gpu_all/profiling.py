"""Where the time of one step goes: kinds of kernels, pauses of the GPU, waits of the CPU."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.profiler import ProfilerActivity

from benchmarks.gpu_all.cases import WARM_UP, Figures, Setting, finish_work, once

STEPS = 2
"""Profiled steps."""
TOP = 12
"""Kernels that are listed by name."""
NAME_CHARACTERS = 90
KINDS = {
    "attention": re.compile(r"flash|fmha|sdpa|attention"),
    "products": re.compile(r"gemm|nvjet|cutlass|xmma|cublas|wgrad|conv", re.IGNORECASE),
    "optimizer": re.compile(r"adam|multi_tensor|lerp", re.IGNORECASE),
    "fused": re.compile(r"^triton_"),
    "copies": re.compile(r"Memcpy|Memset"),
}
"""Kinds of kernels by what their names contain; the first that fits counts."""
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")


def kind_of(kernel: str) -> str:
    """Return the kind of a kernel."""
    return next((kind for kind, pattern in KINDS.items() if pattern.search(kernel)), "other")


def profiled(setting: Setting, step: Callable[[], object]) -> Figures:
    """Return shares of a step's time by kind of kernel, and the waits and kernels of a step."""
    for _ in range(WARM_UP):
        once(setting, step)
    seconds = once(setting, lambda: [step() for _ in range(STEPS)])
    activities = [ProfilerActivity.CPU]
    if setting.device == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities, acc_events=True) as profile:
        for _ in range(STEPS):
            step()
        finish_work(setting.device)
    return summary(list(profile.key_averages()), seconds)


def summary(rows: Iterable[Any], seconds: float) -> Figures:
    """Return the figures of profiled steps that take `seconds` without the profiler."""
    kernels: list[tuple[str, float, int]] = []
    waits = 0
    for row in rows:
        if row.key in WAITS:
            waits += row.count
        elif str(row.device_type).endswith("CUDA") and not row.is_user_annotation:
            kernels.append((row.key, row.self_device_time_total / 1e6, row.count))
    by_kind: dict[str, float] = defaultdict(float)
    for name, taken, _ in kernels:
        by_kind[kind_of(name)] += taken / seconds
    slowest = sorted(kernels, key=lambda kernel: -kernel[1])[:TOP]
    figures: Figures = {f"share_{kind}": share for kind, share in sorted(by_kind.items())}
    return figures | {
        "gpu_busy_share": sum(by_kind.values()),
        "ms_per_step": 1e3 * seconds / STEPS,
        "kernels_per_step": sum(count for _, _, count in kernels) / STEPS,
        # One of the waits is our own, at the end.
        "waits_per_step": max(0, waits - 1) / STEPS,
        "slowest": [
            [name[:NAME_CHARACTERS], round(1e3 * taken / STEPS, 3), count // STEPS]
            for name, taken, count in slowest
        ],
    }
