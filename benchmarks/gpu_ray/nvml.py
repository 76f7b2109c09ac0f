"""What the GPU says about itself: from NVIDIA's library, or else from its program."""

import ctypes
import subprocess
from collections.abc import Callable
from typing import NamedTuple

LIBRARY = "libnvidia-ml.so.1"
QUERY = "--query-gpu=utilization.gpu,memory.used"


class Reading(NamedTuple):
    """State of the first GPU."""

    busy: float
    """Share of the last sample period (1/6 s to 1 s) in which a kernel ran."""
    memory_gb: float
    """Memory in use by all processes (10^9 bytes)."""


class _Utilization(ctypes.Structure):
    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class _Memory(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_ulonglong) for name in ("total", "free", "used"))


class _Library:
    """The few functions of NVML that are needed.

    Source: NVML API reference (nvmlInit_v2, nvmlDeviceGetHandleByIndex_v2,
    nvmlDeviceGetUtilizationRates, nvmlDeviceGetMemoryInfo).

    Raises: OSError if there is no library or no GPU.
    """

    def __init__(self) -> None:
        self._library = ctypes.CDLL(LIBRARY)
        self._device = ctypes.c_void_p()
        self._call("nvmlInit_v2")
        self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(0), ctypes.byref(self._device))

    def read(self) -> Reading:
        """Return the state now.

        Raises: OSError if the GPU does not answer.
        """
        rates = _Utilization()
        memory = _Memory()
        self._call("nvmlDeviceGetUtilizationRates", self._device, ctypes.byref(rates))
        self._call("nvmlDeviceGetMemoryInfo", self._device, ctypes.byref(memory))
        return Reading(rates.gpu / 100, memory.used / 1e9)

    def _call(self, function: str, *arguments: object) -> None:
        status = getattr(self._library, function)(*arguments)
        if status:
            raise OSError(f"{function} of {LIBRARY} answered {status}")


def read_by_program() -> Reading:
    """Return the state by `nvidia-smi`.

    Raises: OSError if the program is missing or fails.
    """
    command = ["nvidia-smi", "--id=0", QUERY, "--format=csv,noheader,nounits"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise OSError(f"nvidia-smi ended with status {result.returncode}: {result.stdout.strip()}")
    busy, mebibytes = (float(part) for part in result.stdout.split(","))
    return Reading(busy / 100, mebibytes * 2**20 / 1e9)


def find_reader() -> Callable[[], Reading]:
    """Return a function that reads the state of the GPU.

    Raises: OSError if neither the library nor the program is there.
    """
    try:
        read: Callable[[], Reading] = _Library().read
        read()
    except OSError:
        read_by_program()
        return read_by_program
    return read
