"""Seconds of selecting from one class of ImageNet's size, on the device and on the CPU."""

from functools import partial

import torch

from benchmarks.gpu_all.cases import Case, Figures, Setting
from benchmarks.selection import our_selection
from benchmarks.synthetic import synthetic_class

IMAGES = 1300
WIDTH = 2048
BUDGETS = (10, 50)


def measured(setting: Setting, budget: int, *, on_cpu: bool) -> Figures:
    """Return the seconds of a selection without and with its lower bound; the CPU: one thread."""
    device = "cpu" if on_cpu else setting.device
    torch.set_num_threads(1)
    size = setting.size((IMAGES, WIDTH, budget), (40, 8, 3))
    data = synthetic_class(size[0], size[1], seed=0)
    our_selection(synthetic_class(100, 8, seed=0), 2, device=device, lower_bound=None)
    plain = our_selection(data, size[2], device=device, lower_bound=None)
    bounded = our_selection(data, size[2], device=device)
    return {"seconds": plain.seconds, "seconds_with_bound": bounded.seconds}


def cases() -> list[Case]:
    """Return the cases, the smaller budget first."""
    return [
        Case(
            f"budget_{budget}_{'cpu' if on_cpu else 'device'}",
            12 if budget == BUDGETS[0] else 25,
            partial(measured, budget=budget, on_cpu=on_cpu),
        )
        for budget in BUDGETS
        for on_cpu in (False, True)
    ]
