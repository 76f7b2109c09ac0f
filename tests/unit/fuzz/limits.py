"""Limits of memory and time for readers of small files.

The memory is the peak of this process, as the kernel counts it: libraries in C take theirs unseen
by Python. A limit on the address space ends a reader that takes far too much.
"""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PEAK = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")
RESET_PEAK = "5"
"""Written to clear_refs, it sets the peak to the memory of now."""
ALLOWED = 2**29
"""Bytes that a reader may take for a file of some kilobytes."""
SLOWEST = 8.0
"""Seconds that a reader may take for it."""
ADDRESSES = 8 * 2**30
"""Bytes of address space that a reader may reserve in addition."""


def memory(field: str) -> int:
    """Return a size of this process in bytes: VmHWM is the peak, VmSize the address space."""
    line = next(line for line in PEAK.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


@contextmanager
def little() -> Iterator[None]:
    """Fail if the block takes much memory or time."""
    RESET.write_text(RESET_PEAK)
    before = memory("VmHWM")
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (memory("VmSize") + ADDRESSES, limits[1]))
    started = time.monotonic()
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert memory("VmHWM") - before < ALLOWED
    assert time.monotonic() - started < SLOWEST
