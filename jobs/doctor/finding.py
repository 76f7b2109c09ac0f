"""The result of one check."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "note", "wrong"]
"""`note`: it works, but may not be intended."""


@dataclass(frozen=True)
class Finding:
    """The result of one check, with a remedy unless all is well."""

    name: str
    verdict: Verdict
    seen: str
    remedy: str = ""

    def __post_init__(self) -> None:
        assert self.remedy or self.verdict == "ok", (
            f"{self.name} is {self.verdict} and must have a remedy"
        )

    def to_json(self) -> dict[str, str]:
        """Return the finding as `--json` prints it."""
        return {
            "name": self.name,
            "verdict": self.verdict,
            "seen": self.seen,
            "mend": self.remedy,
        }
