"""Time of the grouping on CPU cores, scaled from a measured cell."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from otcondense.forecast import measured
from otcondense.forecast.stages import Stage, Term, Workers

CELL_ROWS = 2**17
"""Images that one worker splits at a time."""
COARSE_CENTRES = 128
"""Cells that a coarse level makes of one."""
FINE_PASSES = 3
"""Times that the features of an image are read or written: to split, to write, and the file."""
COARSE_PASSES = 3
"""The same of a coarse level: for the sample, for the assignment, and the file of its part."""
COARSE_SHARE = 0.1
"""Work of a coarse level on a pair, as a share of that of a split: its images are compared with
the centres once, and not in ten passes."""


@dataclass(frozen=True)
class GroupingWork:
    """The images of a run that are grouped."""

    sizes: Sequence[int]
    """Images of each class, or of all together."""
    width: int
    """Features of an image."""
    most: int
    """Images of a group at most."""

    @property
    def groups(self) -> int:
        """Groups to expect: they are about half as large as they may be."""
        return sum(self._groups(size) for size in self.sizes)

    def _groups(self, size: int) -> int:
        return 1 if size <= self.most else math.ceil(2 * size / self.most)

    def passes(self, size: int) -> int:
        """Return how often the features of a class are read or written."""
        return FINE_PASSES + COARSE_PASSES * (size > CELL_ROWS)

    def pairs(self, size: int) -> float:
        """Return the pairs of images and centres of a class; a coarse level counts as a part."""
        if size <= self.most:
            return 0.0
        split = size * self._groups(min(size, CELL_ROWS))
        return split + COARSE_SHARE * size * COARSE_CENTRES * (size > CELL_ROWS)


def grouping_stage(work: GroupingWork, title: str, workers: Workers) -> Stage:
    """Return the time of a grouping over the cores; a class uses as many as it has cells."""
    values = measured.READ_CLASS_SECONDS / (measured.SELECTION_IMAGES * measured.READ_CLASS_WIDTH)
    moved = math.fsum(size * work.passes(size) for size in work.sizes) * work.width
    pairs = math.fsum(work.pairs(size) for size in work.sizes)
    terms = (
        Term("reading and writing", moved * values / workers.count),
        Term("splitting", pairs * measured.SPLIT_SECONDS / workers.count),
    )
    return Stage("group", title, terms, workers)
