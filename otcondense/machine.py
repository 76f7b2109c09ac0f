"""Facts about this machine that Python knows on some systems only."""

import os


def available_cpus() -> int:
    """Return the number of cores that this process may use; on macOS, of all of them."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
