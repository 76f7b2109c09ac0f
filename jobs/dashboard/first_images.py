"""Some chosen images for the first view: the first choices of each class in turn."""

from dataclasses import dataclass

from jobs.dashboard.class_view import read_selection
from jobs.run_directory.groups import selection_groups
from jobs.run_directory.run import Run
from otcondense.datasets import order_classes

SHOWN = 24
"""Images that fill about two lines of the page."""


@dataclass(frozen=True)
class FirstImage:
    """A chosen image."""

    method: str
    class_name: str
    row: int
    """Its place in the class, by which its picture is requested."""
    image_id: str


def first_images(run: Run, method: str) -> tuple[FirstImage, ...]:
    """Return at most `SHOWN` images that a method chose, equally many of each class.

    Raises: InputError if a selection is missing or damaged.
    """
    names = list(selection_groups(run).sizes)
    if run.config.groups is None:
        names = order_classes(names)
    names = names[:SHOWN]
    of_each = SHOWN // len(names)
    found: list[FirstImage] = []
    for name in names:
        selection = read_selection(run, method, name)
        for row in selection.indices[:of_each].tolist():
            found.append(FirstImage(method, name, row, selection.image_ids[row]))
    return tuple(found)
