"""The gap: how far a subset may be from the best one."""

import math

from otcondense.shares import gap_text


def gap(objective: float, lower_bound: float) -> float:
    """Return the share of the objective by which it may exceed the best one; nan if unknown."""
    if objective == lower_bound == 0:
        return 0.0
    if objective > 0 and math.isfinite(lower_bound):
        return (objective - lower_bound) / objective
    return math.nan


def in_words(
    chosen: int, size: int, objective: float, lower_bound: float, classes: int | None = None
) -> str:
    """Return a subset in words, such as "10 of 500 images, objective 31.4, gap 6.2 %".

    Objective and gap are left out if they are nan.

    Args:
        chosen: images in the subset.
        size: images to choose from.
        objective: of the subset, or the mean of several classes.
        lower_bound: of the objective.
        classes: number of classes; None for a selector of one class.
    """
    subset = f"{chosen:,} of {_plural(size, 'image')}"
    name = "objective"
    if classes is not None:
        subset += f" in {_plural(classes, 'class', 'classes')}"
        name = "mean objective"
    words = [subset]
    if math.isfinite(objective):
        words.append(f"{name} {objective:.4g}")
    share = gap(objective, lower_bound)
    if math.isfinite(share):
        words.append(f"gap {gap_text(share)}")
    return ", ".join(words)


def _plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
