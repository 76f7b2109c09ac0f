"""Which settings of a selection go with groups, and with `selection.polish`."""

from collections.abc import Sequence
from typing import Any

from jobs.run_directory.selection_config import SelectionConfig

OF_GROUPS = ("allocation", "polish")
"""Settings of a selection that have no effect without groups."""
POLISHED = "geometry_aware"
"""The method whose choices can be polished."""
NEEDED = {
    "objective": "regularized",
    "solver": "newton",
    "statistics": "diagonal",
    "reference": None,
}
"""Settings of the method for which swaps under the statistics of a whole class are known."""


def check_group_settings(selection: SelectionConfig, *, has_groups: bool) -> None:
    """Check the settings of a selection that are about groups.

    Args:
        selection: the settings.
        has_groups: whether the run has groups.

    Raises: ValueError for settings that have no effect without groups, or do not go with polishing.
    """
    if not has_groups:
        _check_no_effect(selection)
    elif selection.polish and POLISHED in selection.methods:
        _check_polish(selection.budgets, selection.selector_settings(POLISHED, 1))


def _check_no_effect(selection: SelectionConfig) -> None:
    for name in OF_GROUPS:
        value = getattr(selection, name)
        if value != SelectionConfig.model_fields[name].default:
            raise ValueError(
                f"selection.{name}={value} is for groups, found groups=null; set groups.most, or "
                f"leave selection.{name} out"
            )


def _check_polish(budgets: Sequence[int | str], settings: dict[str, Any]) -> None:
    """Check the nested budgets, if there are any, and the settings of the polished method."""
    if budgets:
        raise ValueError(
            "selection.polish needs one budget, since swaps would break the nesting of subsets, "
            f"found selection.budgets {list(budgets)}; set selection.budget instead, or "
            "selection.polish=false"
        )
    for name, needed in NEEDED.items():
        if settings[name] != needed:
            expected = "null" if needed is None else needed
            raise ValueError(
                f"selection.polish needs selection.settings.{POLISHED}.{name}={expected}, found "
                f"{settings[name]}; change it, or set selection.polish=false"
            )
