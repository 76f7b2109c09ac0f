"""How many CPUs this process may use."""

import os


def usable_cpus() -> int:
    """Return how many CPUs this process may use; all of the machine's where none are kept from it.

    macOS cannot keep a process to some of them, and does not know the question.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
