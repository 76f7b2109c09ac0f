"""The groups that images are selected from; without `groups` in a configuration, the classes."""

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.run_directory.config import RunConfig
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.store import ALL_CLASSES, read_groups


@dataclass(frozen=True)
class Groups:
    """What selectors choose from, in order: the index of a group is its place here."""

    sizes: dict[str, int]
    """Images of each group, by its name."""
    distinct: dict[str, int]
    """Images of each group whose bytes differ; of a class without groups, all images."""
    class_of: dict[str, str]
    """Class of each group, by the name of the group."""

    def class_sizes(self) -> dict[str, int]:
        """Return the images of each class, in the order of the classes."""
        sizes: dict[str, int] = {}
        for name, size in self.sizes.items():
            of_class = self.class_of[name]
            sizes[of_class] = sizes.get(of_class, 0) + size
        return sizes


def unit_word(config: RunConfig) -> str:
    """Return what a selection chooses from, for messages: a class or a group."""
    return "class" if config.groups is None else "group"


def selected_sizes(config: RunConfig, sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the images of each class that has a budget: all are one if labels are ignored.

    Args:
        config: of the run.
        sizes: images of each class of the source.
    """
    if config.groups is not None and config.groups.labels == "ignore":
        return {ALL_CLASSES: sum(sizes.values())}
    return dict(sizes)


@dataclass(frozen=True)
class ExpectedUnit:
    """A class or group before the images are grouped."""

    size: int
    budget: int


def expected_units(
    config: RunConfig, sizes: Mapping[str, int], budgets: Mapping[str, int]
) -> list[ExpectedUnit]:
    """Return the selections that a forecast counts with; groups are about half as large as may be.

    Args:
        config: of the run.
        sizes: images of each class that has a budget.
        budgets: images to choose from each.
    """
    units: list[ExpectedUnit] = []
    for name, size in sizes.items():
        count = 1
        if config.groups is not None and size > config.groups.most:
            count = -(-2 * size // config.groups.most)
        unit = ExpectedUnit(-(-size // count), -(-budgets[name] // count))
        units += [unit] * count
    return units


def selection_groups(run: Run) -> Groups:
    """Return the groups of a run; each class is one group if the run has none.

    Raises: MissingInputError if the images are not grouped yet.
    """
    directory = run.groups_directory()
    if directory is None:
        sizes = run_listing(run).sizes
        return Groups(sizes, sizes, {name: name for name in sizes})
    table = read_groups(run.store, directory)
    sizes = dict(zip(table.names, table.sizes, strict=True))
    distinct = dict(zip(table.names, table.distinct, strict=True))
    return Groups(sizes, distinct, dict(zip(table.names, table.class_names, strict=True)))


def class_indices(run: Run) -> dict[str, int]:
    """Return the index of each class of the source, or of each group, as its files hold it.

    Raises: MissingInputError if the images are not grouped yet.
    """
    if run.config.groups is None:
        return {name: number for number, name in enumerate(run_listing(run).classes)}
    return {name: number for number, name in enumerate(selection_groups(run).sizes)}
