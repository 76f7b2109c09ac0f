"""One thing that was looked at."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "note", "wrong"]
"""`note`: works, but may not be what is wanted."""


@dataclass(frozen=True)
class Finding:
    """What was seen, and how to mend it where something is not as it should be."""

    name: str
    verdict: Verdict
    seen: str
    mend: str = ""

    def __post_init__(self) -> None:
        assert self.mend or self.verdict == "ok", (
            f"{self.name} says that something is {self.verdict} but not how to mend it"
        )
