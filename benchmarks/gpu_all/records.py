"""A JSON line for each figure, written when it is made, so that nothing already measured is lost.

Lines are `{"part", "case", "seconds", ...}` with `figures`, or `failed` and its reason, or
`skipped` and its reason.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LONGEST_REASON = 400
"""Characters of an error that are kept."""


class Recorder:
    """Appends lines to a file, and prints them."""

    def __init__(self, path: Path, part: str) -> None:
        self._path = path
        self._part = part
        self._started = time.monotonic()

    def write(self, case: str, **content: Any) -> None:
        """Write one line, whole."""
        line = {"part": self._part, "case": case, **content}
        text = json.dumps(line)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(text + "\n")
        print(text, flush=True)

    def failed(self, case: str, error: BaseException) -> None:
        """Write that a case failed, and why."""
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        self.write(case, failed=reason[:LONGEST_REASON])


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of all parts; a line that was cut off by a killed process is left out."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


def flat_figures(path: Path) -> dict[str, Any]:
    """Return all figures as `part/case/figure`, and the cases without figures by their reason."""
    figures: dict[str, Any] = {}
    for line in read_lines(path):
        name = f"{line['part']}/{line['case']}"
        for key, value in line.get("figures", {}).items():
            figures[f"{name}/{key}"] = value
        for outcome in ("failed", "skipped"):
            if outcome in line:
                figures.setdefault(outcome, {})[name] = line[outcome]
    figures["failed_cases"] = len(figures.get("failed", {}))
    figures["skipped_cases"] = len(figures.get("skipped", {}))
    return figures
