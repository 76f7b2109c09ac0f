"""What the units of the selection need of source and groups."""

from dataclasses import dataclass

from jobs.run_directory.budgets import ForcedImages, class_sizes
from jobs.run_directory.groups import Groups, selection_groups
from jobs.run_directory.run import Run
from jobs.work_units.group_lists import forced_in_groups


@dataclass(frozen=True)
class Listed:
    """What the selection needs of source and groups, read once for all subsets."""

    sizes: dict[str, int]
    """Images of each class that has a budget."""
    forced: dict[str, ForcedImages]
    """Images that must or must not be chosen, by group."""
    groups: Groups
    """What is selected from: groups, or each class as one."""

    @classmethod
    def of(cls, run: Run) -> "Listed":
        """Read the listing and the groups.

        Raises: MissingInputError if the images are not grouped yet.
        """
        groups = selection_groups(run)
        return cls(class_sizes(run), forced_in_groups(run, groups), groups)
