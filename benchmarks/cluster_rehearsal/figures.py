"""What the notes of the stand-ins say of one stage."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.cluster_rehearsal.stand_ins import Slept
from otcondense.shares import percent


@dataclass(frozen=True)
class StageFigures:
    """How one stage used the GPUs of the cluster."""

    stage: str
    gpus: int
    """GPUs that worked."""
    units: int
    seconds: float
    """From the start of the stage to its end."""
    wrong_devices: int
    """Units in which CUDA would have seen other GPUs than those that Ray gave."""
    busy_share: float
    """Share of all GPU time in which a stand-in worked."""
    overhead_seconds: float
    """Time of the stage in which a GPU was idle, averaged over the GPUs of the cluster."""

    def __str__(self) -> str:
        return (
            f"{self.stage:<11}{self.gpus:>5} GPUs{self.units:>6} units{self.seconds:>8.1f} s"
            f"{percent(self.busy_share, 0):>9} busy{self.overhead_seconds:>8.1f} s idle"
        )


def stage_figures(
    stage: str, slept: Sequence[Slept], start: float, end: float, gpus: int
) -> StageFigures:
    """Return the figures of a stage on a cluster with so many GPUs."""
    used = {(each.node, number) for each in slept for number in each.gpus}
    busy = sum((each.end - each.start) * len(each.gpus) for each in slept)
    seconds = end - start
    return StageFigures(
        stage=stage,
        gpus=len(used),
        units=len(slept),
        wrong_devices=sum(not each.sees_its_gpus for each in slept),
        seconds=seconds,
        busy_share=busy / (seconds * gpus),
        overhead_seconds=seconds - busy / gpus,
    )
