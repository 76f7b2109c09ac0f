"""Choose the subset of every class: `python -m jobs.select_subset`."""

from typing import Any

from actors.pool import Pool
from actors.selector import ClassSelector
from jobs.cli import main
from jobs.progress import bar, note
from jobs.ray_env import start_ray
from jobs.run_directory import Run
from otcondense.datasets import list_images
from otcondense.errors import InputError
from otcondense.store import manifest_table, read_class_selection, write_table


def check_budgets(run: Run) -> None:
    """Refuse budgets that do not fit the classes, before anything is computed.

    Raises: InputError naming class, budget and number of images.
    """
    selection = run.config.selection
    sizes: dict[str, int] = {}
    for record in list_images(run.config.source):
        sizes[record.class_name] = sizes.get(record.class_name, 0) + 1
    if isinstance(selection.budget, dict) and set(selection.budget) != set(sizes):
        missing, unknown = sorted(set(sizes) - set(selection.budget)), sorted(set(selection.budget) - set(sizes))
        raise InputError(f"selection.budget must name every class once; missing: {missing[:5]}, not in the source: {unknown[:5]}")
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
    class_names = sorted({record.class_name for record in list_images(run.config.source)})
    start_ray()
    for method in run.config.selection.methods:
        _select(run, method, class_names)


def _select(run: Run, method: str, class_names: list[str]) -> None:
    selection, directory = run.config.selection, run.selection_directory(method)
    features = run.features_directory(run.config.encoder)
    units = [{"name": name, "settings": selection.selector_settings(method, selection.budget_of(name))} for name in class_names]

    def make_actor() -> Any:
        options = {"num_cpus": selection.pool.num_cpus, "num_gpus": selection.pool.num_gpus}
        return ClassSelector.options(**options).remote(run.store.root, method, features, directory)

    with bar(f"select {method}", len(units), "class") as progress:
        outcome = Pool(make_actor, selection.pool).run(units, on_done=lambda _: progress.update())
    if outcome.failures:
        reasons = "\n".join(f"  {name}: {reason}" for name, reason in sorted(outcome.failures.items()))
        raise InputError(f"{len(outcome.failures)} of {len(units)} classes could not be selected by {method}:\n{reasons}")
    _write_manifest(run, method, class_names)
    skipped = sum(result["skipped"] for result in outcome.results.values())
    note(f"select {method}", f"{len(units)} classes, {skipped} of them finished before")


def _write_manifest(run: Run, method: str, class_names: list[str]) -> None:
    selections = [read_class_selection(run.store, run.selection_directory(method), name) for name in class_names]
    table = manifest_table(selections)
    write_table(run.store, run.manifest(method), table, fingerprint=run.selection_directory(method), method=method)


if __name__ == "__main__":
    main("select_subset", __doc__, select_subset)
