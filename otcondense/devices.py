"""Which device a process computes on; a GPU that it was promised is never replaced by the CPU."""

from typing import Literal

import torch

from otcondense.errors import InputError

DeviceSetting = Literal["auto", "cpu", "cuda"]


def resolve_device(
    setting: DeviceSetting, *, assigned: bool | None = None, on_cpu: str = "device=cpu"
) -> Literal["cpu", "cuda"]:
    """Return the device to compute on.

    Args:
        setting: of the user; auto takes a GPU if the process has one.
        assigned: whether the cluster gave a GPU to this process; None without a cluster, where
            every GPU that torch sees may be used.
        on_cpu: the setting that computes on the CPU, for the message.

    Raises: InputError if a GPU was asked for or assigned, and there is none that torch can use.
    """
    if setting == "cpu":
        return "cpu"
    if assigned is False:
        if setting == "cuda":
            raise InputError(
                "device=cuda needs a GPU for each worker, the cluster gave this one none; "
                "set the GPUs of a worker (gpus_per_encoder or num_gpus) above 0, or device=auto"
            )
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if setting == "cuda" or assigned:
        raise InputError(f"{_unusable(assigned=bool(assigned))}, or set {on_cpu}")
    return "cpu"


def _unusable(*, assigned: bool) -> str:
    wanted = "the cluster gave this worker a GPU" if assigned else "device=cuda needs a GPU"
    built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    return (
        f"{wanted}, and torch {torch.__version__} (built {built}) cannot use one: "
        f"{_fault()}; install a driver for this CUDA or a torch for this driver"
    )


def _fault() -> str:
    """Return why torch cannot use a GPU, in its own words; they name the driver's version."""
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (AssertionError, RuntimeError) as error:
        return " ".join(str(error).split()).rstrip(".")
    return "no device is visible"
