"""What a run found, in one object: the subsets, whether they beat random draws, what was left out.

The terminal, the page and the report show it before anything else.
"""

import math
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from otcondense.counts import counted
from otcondense.evaluation.registry import METRICS, Metric, sign
from otcondense.shares import percent

Verdict = Literal["better", "worse", "within noise", "noise unknown"]
"""How a value compares with random draws."""
NOISE_FACTOR = 2.0
"""A difference counts from so many standard deviations on: by chance alone, one in twenty does."""
VERDICTS: tuple[Verdict, ...] = ("better", "worse", "within noise", "noise unknown")
"""All verdicts in the order in which they are told."""
NAMES = {
    "fid": "distance (FID)",
    "frechet_distance": "distance (Fréchet)",
    "mind": "distance (MIND)",
    "held_out_loss": "loss on held-out images",
    "coverage": "coverage",
    "precision": "precision",
    "recall": "recall",
}
"""What metrics are called in sentences."""


@dataclass(frozen=True)
class RandomComparison:
    """One metric of a subset, and of random subsets of the same sizes."""

    metric: str
    """Name in `otcondense.evaluation.registry.METRICS`."""
    value: float
    random: tuple[float, ...]
    """Its value for each random draw; at least one."""
    error: float | None = None
    """Standard error of the difference, where there is one draw; None if it is unknown."""

    @property
    def known(self) -> Metric:
        """The metric's title, direction and digits."""
        return METRICS[self.metric]

    @property
    def name(self) -> str:
        """What the metric is called in sentences."""
        return NAMES.get(self.metric, self.known.title)

    @property
    def random_mean(self) -> float:
        """Mean over the draws."""
        return statistics.fmean(self.random)

    @property
    def noise(self) -> float | None:
        """Standard deviation of one draw, or the error of the difference; None if unknown."""
        return statistics.stdev(self.random) if len(self.random) > 1 else self.error

    @property
    def gain(self) -> float:
        """By how much the subset is better than the mean of the draws; negative if it is worse."""
        return sign(self.known.direction) * (self.random_mean - self.value)

    @property
    def beaten(self) -> int:
        """Number of random draws that are worse than the subset."""
        factor = sign(self.known.direction)
        return sum(factor * self.value < factor * each for each in self.random)

    @property
    def verdict(self) -> Verdict:
        """Whether the difference is larger than the noise.

        Against one draw alone, it is never better or worse: the noise of draws is unknown.
        """
        if self.noise is None or not math.isfinite(self.gain):
            return "noise unknown"
        if abs(self.gain) <= NOISE_FACTOR * self.noise:
            return "within noise"
        if len(self.random) == 1:
            return "noise unknown"
        return "better" if self.gain > 0 else "worse"

    @property
    def text(self) -> str:
        """The figures: `coverage 0.91 against 0.85 ± 0.02 (higher is better), beats 20 of 20`."""
        mean = self.known.text(self.random_mean)
        spread = "" if self.noise is None else f" ± {self.known.text(self.noise)}"
        shown = f"{self.name} {self.known.text(self.value)} against {mean}{spread}"
        beaten = f", beats {self.beaten} of {len(self.random)} draws" if self.random[1:] else ""
        return f"{shown} ({self.known.phrase}){beaten}"


@dataclass(frozen=True)
class Compared:
    """The metrics of one thing that is compared with random draws."""

    what: str
    """`the chosen images`, or `model NAME after N steps`."""
    network: str
    """The judge: the network that looked at the images."""
    num_held_out: int
    """Held-out images that it was compared with."""
    metrics: tuple[RandomComparison, ...]

    @property
    def num_draws(self) -> int:
        """Number of random draws that it was compared with."""
        return max((len(each.random) for each in self.metrics), default=0)

    @property
    def origin_of_noise(self) -> str:
        """What the noise is, in words."""
        if self.num_draws > 1:
            return f"± is the standard deviation of {self.num_draws} random draws"
        return (
            "± is the error from the number of images; another draw and training can differ by "
            "more, otcondense compare repeats them"
        )

    @property
    def verdict(self) -> str:
        """All metrics by verdict, such as `better in distance; within noise in recall`."""
        parts = []
        for verdict in VERDICTS:
            names = [each.name for each in self.metrics if each.verdict == verdict]
            if names:
                parts.append(f"{verdict} in {_listed(names)}")
        return "; ".join(parts)


@dataclass(frozen=True)
class SubsetAnswer:
    """The subset of one method."""

    method: str
    manifest: str
    """Path or URI of the list of the chosen images."""
    num_chosen: int
    num_images: int
    """Images that there were to choose from."""
    num_classes: int
    unrepresented: float | None = None
    """Share of the images that no chosen image represents, mean over classes; None if unknown."""
    compared: tuple[Compared, ...] = ()
    """With random draws: the chosen images, then each model; empty for random itself."""
    proof: str = ""
    """Objective, lower bound and gap of all groups together; empty without groups."""


@dataclass(frozen=True)
class LeftOut:
    """Images or files that could not be chosen, or need a look, for one reason."""

    count: int
    what: str
    """What they are, for one of them: `image`, `file` or `class`."""
    reason: str
    where: str = ""
    """Path of the list of them; empty if there is none."""
    examples: tuple[str, ...] = ()
    """Some of them, each with its own reason if they have different ones."""
    done: str = ""
    """What was done with them."""
    is_kept: bool = False
    """Whether this is only a remark: they could be chosen."""

    @property
    def number(self) -> str:
        """How many there are, with their noun."""
        return counted(self.count, self.what)

    @property
    def more(self) -> int:
        """Number of those that the examples do not name."""
        return self.count - len(self.examples) if self.examples else 0

    @property
    def lines(self) -> tuple[str, ...]:
        """The examples, and how many more there are."""
        return (*self.examples, *([f"and {self.more:,} more"] if self.more else ()))

    @property
    def text(self) -> str:
        """The reason with number and place, without the examples."""
        done = f", {self.done}" if self.done else ""
        where = f" (all in {self.where})" if self.where else ""
        return f"{self.number} {self.reason}{done}{where}"


@dataclass(frozen=True)
class Answer:
    """What a run found."""

    run: str
    subsets: tuple[SubsetAnswer, ...]
    """Of every method, random ones last; empty before the selection has ended."""
    left_out: tuple[LeftOut, ...] = ()
    not_compared: str = ""
    """Why nothing is compared with random draws; empty if it is."""
    remark: str = ""
    """What to know before the comparisons are believed; empty for nothing."""
    next_command: str = ""
    """The command that most users need next."""


def answer_lines(answer: Answer) -> list[str]:
    """Return the lines that the end of a run prints."""
    lines: list[str] = []
    for subset in answer.subsets:
        lines += _subset_lines(subset)
    if answer.not_compared:
        lines.append(f"  not compared with random draws: {answer.not_compared}")
    if answer.remark:
        lines.append(f"  {answer.remark}")
    for title, is_kept in (("left out", False), ("kept, but look at", True)):
        of_title = [each for each in answer.left_out if each.is_kept is is_kept]
        lines += [title] if of_title else []
        for each in of_title:
            lines += [f"  {each.text}", *(f"    {line}" for line in each.lines)]
    if answer.next_command:
        lines += ["next", f"  {answer.next_command}"]
    return lines


def _subset_lines(subset: SubsetAnswer) -> Iterator[str]:
    images = counted(subset.num_images, "image")
    classes = counted(subset.num_classes, "class")
    yield f"subset {subset.method}: {subset.num_chosen:,} of {images} in {classes}"
    yield f"  {subset.manifest}"
    for compared in subset.compared:
        held_out = counted(compared.num_held_out, "held-out image")
        yield f"  {compared.what} against random: {compared.verdict}"
        yield f"    by {compared.network} on {held_out}:"
        yield from (f"    {each.text}" for each in compared.metrics)
        yield f"    {compared.origin_of_noise}"
    if subset.proof:
        yield f"  {subset.proof}"
    if subset.unrepresented:
        yield f"  {percent(subset.unrepresented)} of the images are like no chosen one (outliers)"


def _listed(names: Iterable[str]) -> str:
    """Return names as a list in a sentence: `a, b and c`."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
