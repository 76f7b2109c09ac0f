"""Facts about this machine that systems tell in different ways: Linux, and macOS on CPUs.

Only Linux is tested; the branches of other systems follow Python's documentation.
"""

import os
import sys
from pathlib import Path

FREE_SHARE = 0.5
"""Share of the memory that counts as free where the system does not tell."""
KIBIBYTE = 1024
STATUS = Path("/proc/self/status")
"""Linux's facts about a process."""


def usable_cpus() -> int:
    """Return how many CPUs this process may use; all of the machine's where none are kept from it.

    macOS cannot keep a process to some of them, and does not know the question.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def total_memory() -> int:
    """Return the memory of this machine in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def free_memory() -> int:
    """Return the free memory of this machine in bytes; where unknown, half of all."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (ValueError, OSError):  # macOS does not know it
        return int(FREE_SHARE * total_memory())


def peak_memory() -> int:
    """Return the largest memory of this process so far in bytes.

    On Linux `getrusage` would count the peak of the parent before the process began its program.
    """
    if STATUS.exists():
        lines = STATUS.read_text(encoding="ascii", errors="replace").splitlines()
        of_peak = next(line for line in lines if line.startswith("VmHWM:"))
        return int(of_peak.split()[1]) * KIBIBYTE
    import resource  # Windows has none, and needs this function for no result

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * KIBIBYTE
