"""Progress on the terminal: one bar with ETA for each piece of a stage."""

import sys
from typing import Any

from tqdm import tqdm


def bar(description: str, total: int, unit: str) -> "tqdm[Any]":
    """Return a progress bar that shows count, rate and ETA; without a terminal it prints about one line every ten seconds."""
    interval = 0.2 if sys.stderr.isatty() else 10.0
    return tqdm(total=total, desc=f"{description:<28}", unit=unit, mininterval=interval, dynamic_ncols=True, leave=True)


def note(description: str, text: str) -> None:
    """Print one line in the bars' layout."""
    print(f"{description:<28}: {text}", flush=True)
