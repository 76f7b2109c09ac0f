"""The file of a loss curve, as `jobs.train` writes it and `jobs.verify` expects it."""

from collections.abc import Sequence
from typing import Any

from otcondense.store import canonical_json


def curve_text(lines: Sequence[dict[str, Any]]) -> bytes:
    """Return the content of the file: one JSON object a line."""
    return "".join(canonical_json(line) + "\n" for line in lines).encode()
