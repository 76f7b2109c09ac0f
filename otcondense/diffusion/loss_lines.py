"""Lines of a loss curve, and the text of its file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otcondense.store import canonical_json

CURVE_FILE = "metrics.jsonl"
"""Name of the loss curve in the directory of a training."""


@dataclass(frozen=True)
class LossLine:
    """One line of a loss curve: means over the steps since the line before."""

    step: int
    """Number of finished steps."""
    loss: float
    learning_rate: float
    """Learning rate of the last of these steps."""
    alignment: float | None = None
    """Alignment loss, if tokens are aligned."""

    def to_json(self) -> dict[str, float | int]:
        """Return the line as it is stored; unknown values are left out."""
        values: dict[str, float | int] = {
            "step": self.step,
            "loss": self.loss,
            "learning_rate": self.learning_rate,
        }
        if self.alignment is not None:
            values["alignment"] = self.alignment
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "LossLine":
        """Return the stored line `values`.

        Raises: KeyError for a missing value.
        """
        return cls(values["step"], values["loss"], values["learning_rate"], values.get("alignment"))


@dataclass(frozen=True)
class PartialLine:
    """The sums behind a line that exists only because the training ended at its step.

    A longer training continues the line in its place.
    """

    since: int
    """Step of the line before."""
    totals: list[list[float]]
    """Sum of each value over the steps since then, for each worker."""


@dataclass(frozen=True, kw_only=True)
class LoggedLine(LossLine):
    """A line in the log of the running training: the loss with its times."""

    step_seconds: float
    """Mean duration of a step."""
    data_wait_seconds: float
    """Mean time that a step waited for its data."""
    time: float
    """Seconds since the epoch at which the line was written."""
    process: int
    """Process that wrote it."""

    def to_json(self) -> dict[str, float | int]:
        """Return the line as it is stored."""
        return {
            **super().to_json(),
            "step_seconds": self.step_seconds,
            "data_wait_seconds": self.data_wait_seconds,
            "time": self.time,
            "process": self.process,
        }


def curve_text(lines: Sequence[LossLine]) -> bytes:
    """Return the content of the file of a loss curve."""
    texts = [canonical_json(line.to_json()) + "\n" for line in lines]
    return "".join(texts).encode()
