"""Sizes in bytes as text, the same in every forecast."""

UNITS = ("bytes", "kB", "MB", "GB", "TB")
"""Each is 1000 times the one before it."""
STEP = 1000


def byte_size(count: int | float) -> str:
    """Return a size such as 17 bytes, 4.2 MB or 1.5 TB."""
    value = float(count)
    for unit in UNITS[:-1]:
        if value < STEP:
            return f"{value:.3g} {unit}"
        value /= STEP
    return f"{value:.3g} {UNITS[-1]}"
