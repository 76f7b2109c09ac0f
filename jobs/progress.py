"""Progress on the terminal: one bar with ETA for each piece of a stage."""

import sys
from types import TracebackType
from typing import Any

from tqdm import tqdm

TITLE_WIDTH = 34


class Bar:
    """A progress bar with count, rate and ETA; without a terminal it prints about one line every ten seconds.

    It appears with the first count that leaves something to do.
    """

    def __init__(self, title: str, unit: str) -> None:
        self._title, self._unit = title, unit
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, done: int, total: int, **figures: float) -> None:
        """Show that `done` of `total` are done, and `figures` beside them."""
        if self._bar is None:
            if done >= total:
                return
            interval = 0.2 if sys.stderr.isatty() else 10.0
            self._bar = tqdm(total=total, initial=done, desc=f"{self._title:<{TITLE_WIDTH}}", unit=self._unit, mininterval=interval)
        self._bar.set_postfix({name: f"{value:.4g}" for name, value in figures.items()}, refresh=False)
        self._bar.update(done - self._bar.n)


def note(title: str, text: str) -> None:
    """Print one line in the bars' layout."""
    print(f"{title:<{TITLE_WIDTH}}: {text}", flush=True)
