"""The copies in one class, as the summary of its selection holds them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class CopyExample:
    """One group of copies."""

    leader: str
    """Id of the image that the others are copies of, the first of the group."""
    copies: tuple[str, ...]
    """Ids of the first of the others."""
    size: int
    """Images in the group."""
    distance: float
    """Largest distance of one of them to the leader of the group."""


@dataclass(frozen=True)
class CopySummary:
    """What was found and done about copies in one class."""

    policy: str = "keep"
    """merge, drop or keep (nothing was looked for)."""
    exact: int = 0
    """Images whose bytes are those of another image of the class."""
    near: int = 0
    """Further images whose features are at most `threshold` from another one's."""
    groups: int = 0
    """Groups of at least two."""
    threshold: float = 0.0
    """Largest distance of near copies, in units of the features."""
    neighbour_distance: float = 0.0
    """Median distance to the fifth nearest image of the class."""
    held_out: int = 0
    """Images left out because the held-out set has the same bytes."""
    examples: tuple[CopyExample, ...] = ()
    """The largest groups."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "CopySummary":
        """Return the summary stored as `value`; absent keys get their defaults."""
        examples = []
        for each in value.get("examples", []):
            examples.append(CopyExample(**{**each, "copies": tuple(each["copies"])}))
        return cls(**{**value, "examples": tuple(examples)})

    def to_json(self) -> dict[str, object]:
        """Return the JSON object that selection files hold."""
        return asdict(self)
