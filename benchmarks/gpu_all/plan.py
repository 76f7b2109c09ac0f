"""The parts of the run in the order of their worth, and their shares of the time."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """Cases that are measured by one process."""

    name: str
    """Name of the module in this folder whose `cases` returns them."""
    weight: float
    """Share of the time, relative to the other parts; what a part leaves goes to those after it."""

    @property
    def module(self) -> str:
        """Full name of the module, which is imported only by the process of the part."""
        return f"{__package__}.{self.name}"


PLAN = (
    Part("ceilings", 5),
    Part("training", 40),
    Part("sampling", 18),
    Part("ensembles", 12),
    Part("encoders", 15),
    Part("decoding", 6),
    Part("metrics", 10),
)

GOALS: dict[str, dict[str, float]] = {
    "training/DiT-L/2_256_batch_128_compiled_bfloat16/peak_share": {"at_least": 0.45},
    "training/SiT-L/2_256_batch_128_compiled_bfloat16/peak_share": {"at_least": 0.45},
    "training/DiT-XL/2_256_batch_96_compiled_bfloat16/peak_share": {"at_least": 0.45},
    "sampling/SiT-L/2_256_batch_128_compiled_guided/peak_share": {"at_least": 0.5},
    "encoders/inception-v3_bfloat16/from_host_ratio": {"at_least": 0.6},
    "encoders/dinov2-l14_bfloat16/from_host_ratio": {"at_least": 0.6},
    "metrics/frechet/seconds": {"at_most": 20},
    "metrics/kernel/seconds": {"at_most": 20},
    "metrics/precision_recall/seconds": {"at_most": 20},
    "metrics/density_coverage/seconds": {"at_most": 20},
}
"""Bounds on figures; they are judged where the figure was measured."""


def allotted(part: Part, parts: tuple[Part, ...], left: float) -> float:
    """Return the seconds of `part`: its share of what is left for it and the parts after it."""
    remaining = parts[parts.index(part) :]
    return left * part.weight / sum(each.weight for each in remaining)
