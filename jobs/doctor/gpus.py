"""Check the GPUs of this machine, their driver, and the compiler that compiled training needs."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from jobs.doctor.finding import Finding
from jobs.requirements.compiler import REMEDY, find_compiler, missing_tools
from jobs.run_directory.config import RunConfig

LEAST_DRIVER = {11: 450, 12: 525, 13: 580}
"""Least major version of NVIDIA's driver on Linux for each major version of CUDA.

Every minor version of CUDA runs on it. Source: NVIDIA, CUDA Compatibility, "Minor Version
Compatibility", table 1 (docs.nvidia.com/deploy/cuda-compatibility).
"""
DRIVER_FILE = Path("/proc/driver/nvidia/version")
"""Written by the kernel module; containers see it too. WSL has none."""
DRIVER_PATTERNS = (
    r"NVRM version:.*?Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)",
    r"Driver Version:\s*(\d+(?:\.\d+)+)",
    r"^\s*(\d+(?:\.\d+)+)\s*$",
)
"""The version in the kernel module's file, in the table of nvidia-smi, and in its answer."""
QUERY = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
QUERY_SECONDS = 30
"""nvidia-smi initialises every GPU, which takes seconds on a node of eight."""


def check_gpus() -> Iterator[Finding]:
    """Yield findings on the GPUs that torch sees, and on their driver."""
    import torch

    has_devices = bool(list(Path("/dev").glob("nvidia[0-9]*")))
    yield _seen_by_torch(has_devices=has_devices)
    yield from check_driver(driver_text(), torch.version.cuda, has_devices=has_devices)


def _seen_by_torch(*, has_devices: bool) -> Finding:
    import torch

    if torch.cuda.is_available():
        numbers = range(torch.cuda.device_count())
        devices = [torch.cuda.get_device_properties(number) for number in numbers]
        names = [f"{device.name} ({device.total_memory / 2**30:.0f} GiB)" for device in devices]
        versions = f"CUDA {torch.version.cuda}, torch {torch.__version__}"
        return Finding("GPUs", "ok", f"{len(devices)}: {', '.join(names)}; {versions}")
    if has_devices:
        return Finding(
            "GPUs",
            "wrong",
            f"the machine has some, torch {torch.__version__} (CUDA {torch.version.cuda}) sees "
            f"none; CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES')}",
            "unset CUDA_VISIBLE_DEVICES if it hides them; otherwise install a driver for this "
            "CUDA, or a torch built for this driver",
        )
    return Finding("GPUs", "ok", f"none; torch {torch.__version__} works on the CPU")


def needed_gpu(config: RunConfig, *, seen: bool, on_cluster: bool) -> Iterator[Finding]:
    """Yield a finding if a configuration names a GPU and this process has none.

    Args:
        config: the configuration.
        seen: whether torch sees a GPU.
        on_cluster: whether other machines do the work.
    """
    devices = {"encoder": config.encoder.device, "judge": config.judge_or_encoder.device}
    devices |= {f"encoders.{n}": each.device for n, each in enumerate(config.encoders)}
    devices |= {
        f"models.{name}.training": each.training.device for name, each in config.models.items()
    }
    devices |= {kind: getattr(config, kind).device for kind in sorted(config.training_inputs)}
    named = [f"{name}.device" for name, device in devices.items() if device == "cuda"]
    if seen or not named:
        return
    yield Finding(
        "GPU of the configuration",
        "note" if on_cluster else "wrong",
        f"none here, but {named[0]} is cuda",
        "check a machine with GPUs: otcondense submit --driver-gpus 1 doctor --config FILE",
    )


def driver_text() -> str:
    """Return what names the driver's version on this machine, empty if there is no driver."""
    if DRIVER_FILE.exists():
        return DRIVER_FILE.read_text()
    if shutil.which(QUERY[0]) is None:
        return ""
    try:
        answer = subprocess.run(
            QUERY, capture_output=True, text=True, timeout=QUERY_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout


def driver_version(text: str) -> str | None:
    """Return the version of the driver in the text of its file or of nvidia-smi."""
    for pattern in DRIVER_PATTERNS:
        found = re.search(pattern, text, re.MULTILINE)
        if found:
            return found[1]
    return None


def check_driver(text: str, cuda: str | None, *, has_devices: bool) -> Iterator[Finding]:
    """Yield a finding on the driver; none without a GPU and without a driver.

    Args:
        text: from `driver_text`.
        cuda: version of CUDA that torch was built with; None for a build without CUDA.
        has_devices: whether the machine has NVIDIA's devices.
    """
    version = driver_version(text)
    if version is None:
        if has_devices:
            yield Finding(
                "NVIDIA driver",
                "wrong",
                "no version found, though the machine has GPUs",
                "install NVIDIA's driver, and give containers access to it (nvidia-container-"
                "toolkit)",
            )
        return
    if cuda is None:
        yield Finding(
            "NVIDIA driver",
            "wrong",
            f"{version}, but this torch was built without CUDA",
            "install torch from an index with CUDA: pip install -c constraints.txt torch",
        )
        return
    yield _fit(version, cuda)


def _fit(version: str, cuda: str) -> Finding:
    """Compare the version of a driver with what a version of CUDA needs."""
    least = LEAST_DRIVER.get(_major(cuda))
    seen = f"{version}, torch uses CUDA {cuda}"
    if least is None:
        remedy = "look up the least driver in NVIDIA's CUDA Compatibility"
        return Finding("NVIDIA driver", "note", f"{seen}, whose needs are not known here", remedy)
    if _major(version) < least:
        return Finding(
            "NVIDIA driver",
            "wrong",
            f"{seen}, which needs {least} or newer: every GPU would be left unused",
            f"install driver {least} or newer on the host, or a torch built for an older CUDA",
        )
    return Finding("NVIDIA driver", "ok", f"{seen}, which needs {least} or newer")


def _major(version: str) -> int:
    return int(version.partition(".")[0])


def check_compiler(missing: list[str], found: str | None, compiling: list[str] | None) -> Finding:
    """Check the compiler of compiled training.

    Args:
        missing: what is missing to compile, in words.
        found: path of the compiler.
        compiling: the models of the configuration that compile their blocks; None if no
            configuration is given.
    """
    if not missing:
        return Finding("C compiler", "ok", f"{found}, with Python's headers")
    seen = f"missing: {' and '.join(missing)}"
    if compiling is None:
        needed = "compile_blocks on a GPU needs it (all ImageNet configurations); "
        return Finding("C compiler", "note", seen, f"{needed}{REMEDY}")
    if compiling:
        return Finding(
            "C compiler", "wrong", f"{seen}; models.{compiling[0]} compiles its blocks", REMEDY
        )
    return Finding("C compiler", "ok", f"{seen}; the configuration needs none")


def compiler_finding(compiling: list[str] | None) -> Finding:
    """Return the finding on the compiler of this machine; `compiling` as in `check_compiler`."""
    return check_compiler(missing_tools(os.environ), find_compiler(os.environ), compiling)
