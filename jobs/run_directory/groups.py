"""The groups that images are selected from; without `groups` in a configuration, the classes."""

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.run_directory.budget_rules import Budget, describe
from jobs.run_directory.config import RunConfig
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.counts import counted
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
    ignores_labels: bool = False
    """Whether the groups are of all images together, as one class."""

    def holder(self, class_name: str) -> str:
        """Return what has a budget, for messages: a class, or the source without labels."""
        return _holder(class_name, ignores=self.ignores_labels)

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


def expected_words(config: RunConfig, count: int) -> str:
    """Return a number of classes or groups in words; before the images are grouped, it is rough."""
    about = "" if config.groups is None else "about "
    return f"{about}{counted(count, unit_word(config))}"


def ignores_labels(config: RunConfig) -> bool:
    """Tell whether all images are grouped together, and the budget is that of all of them."""
    return config.groups is not None and config.groups.labels == "ignore"


def holder_words(config: RunConfig, class_name: str) -> str:
    """Return what has a budget, for messages, before there are groups; see `Groups.holder`."""
    return _holder(class_name, ignores=ignores_labels(config))


def _holder(class_name: str, *, ignores: bool) -> str:
    return "the source" if ignores else f"class {class_name}"


def budget_words(config: RunConfig, budget: Budget) -> str:
    """Return a budget in words, such as 10 a class; of all images if labels are ignored."""
    return describe(budget, of_all=ignores_labels(config))


def selected_sizes(config: RunConfig, sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the images of each class that has a budget: all are one if labels are ignored.

    Args:
        config: of the run.
        sizes: images of each class of the source.
    """
    if ignores_labels(config):
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
    class_of = dict(zip(table.names, table.class_names, strict=True))
    return Groups(sizes, distinct, class_of, ignores_labels(run.config))


def class_indices(run: Run) -> dict[str, int]:
    """Return the index of each class of the source, or of each group, as its files hold it.

    Raises: MissingInputError if the images are not grouped yet.
    """
    if run.config.groups is None:
        return {name: number for number, name in enumerate(run_listing(run).classes)}
    return {name: number for number, name in enumerate(selection_groups(run).sizes)}
