"""Choose the subset of every class: `python -m jobs.select_subset`."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from actors.board import BoardLink, open_board
from actors.crew import RayCrew, Unit
from actors.pool import Pool, PoolOutcome
from actors.selector import SelectorActor, progress_of, selection_fingerprint
from jobs.cli import main
from jobs.progress import Progress, note
from jobs.ray_env import start_ray
from jobs.run_directory import Run, identity
from otcondense.datasets import ImageRecord, list_images
from otcondense.errors import InputError
from otcondense.store import (
    UnitProgress,
    class_file,
    manifest_table,
    read_class_selection,
    read_fingerprint,
    selection_file,
    stored_metadata,
    write_table,
)

STAGE = "select_subset"


def check_budgets(run: Run) -> None:
    """Refuse budgets that do not fit the classes, before anything is computed.

    Raises: InputError naming class, budget and number of images.
    """
    selection = run.config.selection
    records = list_images(run.config.source)
    sizes = Counter(record.class_name for record in records)
    unknown = {*selection.include, *selection.exclude} - {record.image_id for record in records}
    if unknown:
        raise InputError(f"selection.include and selection.exclude must name images of {run.config.source.path}, found {min(unknown)}")
    if isinstance(selection.budget, dict) and set(selection.budget) != set(sizes):
        missing, surplus = sorted(set(sizes) - set(selection.budget)), sorted(set(selection.budget) - set(sizes))
        raise InputError(f"selection.budget must name every class once; missing: {missing[:5]}, not in the source: {surplus[:5]}")
    if selection.small_class == "take_all":
        return
    for class_name, size in sizes.items():
        if selection.budget_of(class_name) > size:
            raise InputError(
                f"selection.budget is {selection.budget_of(class_name)}, but class {class_name} has {size} images; "
                "lower it, or set selection.small_class=take_all"
            )


def select_subset(run: Run) -> None:
    """Run every method on every class, then write each method's manifest."""
    check_budgets(run)
    records = list_images(run.config.source)
    class_names = sorted({record.class_name for record in records})
    units = [unit for method in run.config.selection.methods for unit in selection_units(run, method, records)]
    open_units = [unit for unit in units if not _is_done(run, unit)]
    _select(run, units, open_units)
    note("select", f"{len(units)} selections of a class, {len(units) - len(open_units)} of them finished before")
    for method in run.config.selection.methods:
        _write_manifest(run, method, class_names)


def selection_units(run: Run, method: str, records: list[ImageRecord]) -> Iterator[Unit]:
    """Yield one unit for each class of the records, the largest classes first: the last to end are then short ones.

    Raises: InputError if features are missing.
    """
    selection = run.config.selection
    difficulty = run.difficulty_directory(method)
    directories = dict.fromkeys([run.features_directory(run.config.encoder), run.confidence_directory(), difficulty])
    forced, barred = (_by_class(image_ids, records) for image_ids in (selection.include, selection.exclude))
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


def _is_done(run: Run, unit: Unit) -> bool:
    return read_fingerprint(run.store, selection_file(unit["directory"], unit["class_name"])) == unit["fingerprint"]


def _select(run: Run, units: list[Unit], open_units: list[Unit]) -> None:
    waiting = {unit["name"] for unit in open_units}
    with Progress(run.store, STAGE, "select", "class") as progress:
        progress.follow([_followed(run, unit, is_open=unit["name"] in waiting) for unit in units])
        outcome = run_pool(run, open_units, progress) if open_units else PoolOutcome()
    refuse_failures(outcome, len(open_units), "selections")


def run_pool(run: Run, open_units: list[Unit], progress: Progress, selector: Any = SelectorActor) -> PoolOutcome:
    """Select classes with a pool of actors, their progress shown while it goes on.

    Args:
        run: the run.
        open_units: what to do, as `selection_units` lists it.
        progress: follows these units.
        selector: the class of the actors.
    """
    pool, features = run.config.selection.pool, run.features_directory(run.config.encoder)
    start_ray()
    board = open_board(run.store.root, STAGE)
    link = BoardLink(board)

    def make_actor() -> Any:
        options = selector.options(num_cpus=pool.num_cpus, num_gpus=pool.num_gpus)
        return options.remote(run.store.root, features, run.confidence_directory(), board)

    def change(name: str, changes: dict[str, Any]) -> None:
        link.note(name, changes)
        progress.change(name, changes)

    def tick() -> None:
        for name, changes in link.exchange().items():
            progress.update(name, changes)

    return Pool(RayCrew(make_actor), pool).run(open_units, change, tick)


def _followed(run: Run, unit: Unit, *, is_open: bool) -> UnitProgress:
    shared = {"name": unit["name"], "class_name": unit["class_name"], "method": unit["method"], "size": unit["size"]}
    if is_open:
        return UnitProgress(**shared)
    metadata = stored_metadata(run.store, selection_file(unit["directory"], unit["class_name"])) or {}
    return UnitProgress(**shared, state="skipped", **progress_of(metadata.get("summary", {})))


def refuse_failures(outcome: PoolOutcome, total: int, what: str) -> None:
    """Raise InputError with the reason of every failed unit, if there is one."""
    if outcome.failures:
        reasons = "\n".join(f"  {name}: {reason}" for name, reason in sorted(outcome.failures.items()))
        raise InputError(f"{len(outcome.failures)} of {total} {what} failed, the others are kept:\n{reasons}")


def _write_manifest(run: Run, method: str, class_names: list[str]) -> None:
    selections = [read_class_selection(run.store, run.selection_directory(method), name) for name in class_names]
    table = manifest_table(selections)
    write_table(run.store, run.manifest(method), table, fingerprint=run.selection_directory(method), method=method)


if __name__ == "__main__":
    main("select_subset", __doc__, select_subset)
