"""The images that must or must not be chosen, by group."""

from collections.abc import Mapping

from jobs.run_directory.budgets import ForcedImages, forced_images
from jobs.run_directory.groups import Groups
from jobs.run_directory.run import Run
from otcondense.errors import InputError
from otcondense.store import class_file, read_columns


def forced_in_groups(run: Run, groups: Groups) -> dict[str, ForcedImages]:
    """Return the images that must or must not be chosen, for each group that has some.

    Raises: InputError as `forced_images`, or for an image that is in no group: it has no features.
    """
    forced = forced_images(run)
    directory = run.groups_directory()
    if directory is None or not forced:
        return forced
    places = _places(run, directory, [name for name, of in groups.class_of.items() if of in forced])
    found: dict[str, ForcedImages] = {}
    for class_name, images in forced.items():
        for image_id in images.include:
            _group_of(places, class_name, image_id, found).include.append(image_id)
        for image_id in images.exclude:
            _group_of(places, class_name, image_id, found).exclude.append(image_id)
    return found


def _places(run: Run, directory: str, names: list[str]) -> dict[str, str]:
    """Return the group of each image of some groups."""
    places: dict[str, str] = {}
    for name in names:
        table = read_columns(run.store, class_file(directory, name), ("image_id",))
        places |= dict.fromkeys(table.column("image_id").to_pylist(), name)
    return places


def _group_of(
    places: Mapping[str, str], class_name: str, image_id: str, found: dict[str, ForcedImages]
) -> ForcedImages:
    if image_id not in places:
        raise InputError(
            f"class {class_name} must hold the images to include or exclude, "
            f"found no {image_id} in its groups"
        )
    return found.setdefault(places[image_id], ForcedImages())
