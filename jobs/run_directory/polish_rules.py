"""Which settings go with `selection.polish`."""

from collections.abc import Mapping, Sequence
from typing import Any

POLISHED = "geometry_aware"
"""The method whose choices can be polished."""
NEEDED = {
    "objective": "regularized",
    "solver": "newton",
    "statistics": "diagonal",
    "reference": None,
}
"""Settings of the method for which swaps under the statistics of a whole class are known."""


def check_polish(budgets: Sequence[int | str], settings: Mapping[str, Any]) -> None:
    """Check the settings of a run that polishes.

    Args:
        budgets: the nested budgets, if there are any.
        settings: of the method, defaults filled in.

    Raises: ValueError for settings that do not go with polishing.
    """
    if budgets:
        raise ValueError(
            "polish needs one budget, since swaps would break the nesting of subsets, found "
            f"budgets {list(budgets)}; set budget instead, or polish=false"
        )
    for name, needed in NEEDED.items():
        if settings[name] != needed:
            expected = "null" if needed is None else needed
            raise ValueError(
                f"polish needs settings.{POLISHED}.{name}={expected}, found {settings[name]}; "
                "change it, or set polish=false"
            )
