"""What became of each fault: one JSON line each, and the table made from them."""

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "outcomes.jsonl"


@dataclass(frozen=True)
class Outcome:
    """One fault and what came after it."""

    seed: int
    number: int
    kind: str
    stage: str
    settings: dict[str, Any]
    is_hit: bool = True
    """Whether the fault came before the command ended; the others are no evidence."""
    exit_code: int | None = None
    """Of the disturbed start; None where files were damaged after the end."""
    is_equal: bool = False
    """Whether the same command then ended with the same bytes as an undisturbed run."""
    kept: int = 0
    """Pieces of work that were finished before the second start."""
    redone: int = 0
    """How many of them were done again."""
    seconds: float = 0.0
    """Of the second start."""
    problems: list[str] = field(default_factory=list)

    @property
    def has_passed(self) -> bool:
        return self.is_equal and not self.problems

    def line(self) -> str:
        return json.dumps(asdict(self) | {"has_passed": self.has_passed}, sort_keys=True)


def read(path: Path = FILE) -> list[dict[str, Any]]:
    """Return the newest outcome of each fault.

    A fault that failed stays in the file; it is tried again once its cause is fixed.
    """
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return list({(row["seed"], row["number"]): row for row in rows}.values())


def table(rows: Iterable[dict[str, Any]]) -> str:
    """Return a Markdown table: a row for each kind of fault."""
    hits: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["is_hit"]:
            hits.setdefault(row["kind"], []).append(row)
    lines = [
        "| fault | injected | equal after it | work kept | done again "
        "| seconds to recover (median, most) |",
        "|---|---|---|---|---|---|",
    ]
    for kind, found in [
        *sorted(hits.items()),
        ("all", [row for each in hits.values() for row in each]),
    ]:
        kept, redone = sum(row["kept"] for row in found), sum(row["redone"] for row in found)
        seconds = [row["seconds"] for row in found] or [0.0]
        equal = sum(row["has_passed"] for row in found)
        took = f"{statistics.median(seconds):.0f}, {max(seconds):.0f}"
        lines.append(f"| {kind} | {len(found)} | {equal} | {kept} | {redone} | {took} |")
    return "\n".join(lines)
