"""Durations in words, the same in every table, page and report."""

MINUTE = 60
HOUR = 3600
DAY = 86400


def duration(seconds: float) -> str:
    """Return a time such as 0.8 s, 52 s, 3 min 20 s, 2 h 5 min or 3 d 4 h."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    minutes = round(seconds / MINUTE)
    if minutes < DAY // MINUTE:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(seconds / HOUR)
    return f"{hours // 24} d {hours % 24} h"
