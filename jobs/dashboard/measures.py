"""The measures by which the page colours and sorts classes, and the states of a class, in words."""

from dataclasses import asdict, dataclass

from otcondense.shares import gap_text, percent

SHOWN_DIGITS = 4
"""Significant digits of a measure."""


@dataclass(frozen=True)
class Measure:
    """One figure of the selection of a class."""

    title: str
    unit: str
    """After the value; % for shares, whose values are 0 to 1."""
    template: str
    """What it is; `{unit}` stands for a class or a group."""
    is_bound: bool = False
    """Whether it is proven, so that it is rounded up."""

    def meaning(self, unit: str) -> str:
        """Return what it is, for selections of a class or a group."""
        return self.template.format(unit=unit)

    def text(self, value: float) -> str:
        """Return a value with its unit; `withUnit` in overview.js does the same."""
        if self.is_bound:
            return gap_text(value)
        if self.unit == "%":
            return percent(value)
        return f"{value:.{SHOWN_DIGITS}g} {self.unit}".rstrip()


MEASURES = {
    "objective": Measure(
        "objective",
        "",
        "What the selection makes small: the mean cost of the images to the chosen ones that "
        "represent them, plus the terms of statistics and confidence. The cost of two images is "
        "the squared distance of their features, so the unit depends on the encoder: compare "
        "methods within a {unit}.",
    ),
    "gap": Measure(
        "gap to the bound",
        "%",
        "By at most this part of the objective could any subset of the same size be better: "
        "proven by a lower bound.",
        is_bound=True,
    ),
    "transport": Measure(
        "transport term", "", "Part of the objective: the cost of representing the {unit}."
    ),
    "statistics": Measure(
        "statistics term",
        "",
        "Part of the objective: how far the mean and spread of the subset are from the {unit}'s.",
    ),
    "confidence": Measure(
        "confidence term",
        "",
        "Part of the objective: the mean cross-entropy of the chosen images, which is high for "
        "images that a classifier finds untypical of its class.",
    ),
    "left_out_share": Measure(
        "left out", "%", "Images of the {unit} that no chosen image represents: outliers."
    ),
    "seconds": Measure("time", "s", "Time of the selection of this {unit}."),
    "swaps": Measure(
        "swaps",
        "",
        "How often the search exchanged a chosen image for one that makes the objective smaller.",
    ),
    "size": Measure("images", "", "Images of the {unit}."),
}
"""Each measure by its name in a selection, in the order of the page."""

STATES = {
    "failed": "failed",
    "slow": "slow",
    "running": "running",
    "queued": "queued",
    "done": "done",
    "skipped": "done (earlier)",
}
"""Title of each state of a class, the most urgent one first."""
STATE_MEANINGS = {
    "slow": "runs for more than three times as long as the others took",
    "done (earlier)": "finished by an earlier start of the command, and still valid",
}


def words_for_scripts() -> dict[str, object]:
    """Return measures and states as the script of the page reads them."""
    return {
        "measures": {name: asdict(measure) for name, measure in MEASURES.items()},
        "states": STATES,
    }
