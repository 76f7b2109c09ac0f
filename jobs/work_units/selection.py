"""Units of the selection: one class under one method."""

from collections import Counter
from collections.abc import Iterator

from actors.crew import Unit
from actors.selector import selection_fingerprint
from jobs.run_directory.run import Run, identity
from otcondense.datasets import ImageRecord
from otcondense.store import class_file


def selection_units(run: Run, method: str, records: list[ImageRecord]) -> Iterator[Unit]:
    """Yield one unit for each class of the records, the largest classes first: the last to end are then short ones.

    Raises: InputError if features are missing.
    """
    selection = run.config.selection
    difficulty = run.difficulty_directory(method)
    directories = dict.fromkeys(
        [run.features_directory(run.config.encoder), run.confidence_directory(), difficulty]
    )
    forced, barred = (
        _by_class(image_ids, records) for image_ids in (selection.include, selection.exclude)
    )
    for name, size in Counter(record.class_name for record in records).most_common():
        settings = selection.selector_settings(method, selection.budget_of(name))
        if "include" in settings:
            settings |= {"include": forced.get(name, []), "exclude": barred.get(name, [])}
        inputs = [class_file(directory, name) for directory in directories if directory is not None]
        expected = selection_fingerprint(run.store, inputs, method, identity(settings))
        yield {
            "name": f"{method}, class {name}",
            "method": method,
            "class_name": name,
            "size": size,
            "settings": settings,
            "difficulty": difficulty,
            "directory": run.selection_directory(method),
            "fingerprint": expected,
        }


def _by_class(image_ids: tuple[str, ...], records: list[ImageRecord]) -> dict[str, list[str]]:
    """Return the listed images of each class."""
    found: dict[str, list[str]] = {}
    wanted = set(image_ids)
    for record in records if wanted else []:
        if record.image_id in wanted:
            found.setdefault(record.class_name, []).append(record.image_id)
    return found
