"""`--fresh`: deleting the results of a stage, and of all stages that use them."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jobs.run_directory.marker import MARKER
from jobs.run_directory.run import Run
from jobs.run_directory.stages import ALL, STAGES, Stage, matches, place_of_bar, with_dependents
from otcondense.byte_sizes import byte_size
from otcondense.errors import InputError
from otcondense.store import PROGRESS_DIRECTORY, set_aside, units_file


@dataclass(frozen=True)
class Deletion:
    """Files of a run that are to be deleted."""

    run: Run
    stages: tuple[str, ...]
    """Names of the stages that wrote them."""
    files: tuple[str, ...]

    def __str__(self) -> str:
        size = sum(self.run.store.size(name) for name in self.files)
        return (
            f"{len(self.files)} files ({byte_size(size)}) of {', '.join(self.stages)} "
            f"in {self.run.store.root}"
        )

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Set the files aside while their stage runs; they are deleted if it ends well."""
        with set_aside(self.run.store, self.files):
            yield


def deletion_of(run: Run, verb: str) -> Deletion:
    """Return what `--fresh` of a verb deletes: only files that have the names of our results."""
    stages = STAGES if verb == ALL else with_dependents(verb, run.config)
    results = [name for name in run.store.list() if not _is_of_another_run(run, name)]
    found: dict[str, list[str]] = {}
    for stage in stages:
        found[stage.name] = [*_matching(results, stage.outputs), *_progress_of(results, stage)]
    files = [name for names in found.values() for name in names]
    return Deletion(run, tuple(name for name in found if found[name]), tuple(files))


def _matching(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    matching: list[str] = []
    for pattern in patterns:
        matching += [name for name in names if matches(name, pattern)]
    return matching


def _is_of_another_run(run: Run, name: str) -> bool:
    """Tell whether a link leads from a name to a file in another run."""
    if not run.store.is_local:
        return False
    root = Path(run.store.path()).resolve()
    real = Path(run.store.path(name)).resolve()
    return not real.is_relative_to(root) and any(
        (folder / MARKER).is_file() for folder in real.parents
    )


def _progress_of(names: Iterable[str], stage: Stage) -> list[str]:
    """Return the files of progress of a stage."""
    prefix = f"{PROGRESS_DIRECTORY}/"
    known = set(names)
    keys = [name.removeprefix(prefix).removesuffix(".json") for name in known if prefix in name]
    place = STAGES.index(stage)
    own = sorted(key for key in keys if place_of_bar(key) == place)
    files = [f"{prefix}{key}.json" for key in own]
    return files + [units_file(key) for key in own if units_file(key) in known]


def confirm(deletion: Deletion, *, yes: bool, ask: Callable[[str], str] = input) -> None:
    """Say what will be deleted, and ask whether it may be.

    Args:
        deletion: what will be deleted.
        yes: whether the answer is known: the option `--yes`.
        ask: asks a question and returns the answer.

    Raises: InputError if the answer is no, or there is no terminal to ask on.
    """
    if not deletion.files:
        print("there are no results to delete")
        return
    if yes:
        print(f"deleting {deletion}, once new results have taken their place")
        return
    if not sys.stdin.isatty():
        raise InputError(f"--fresh would delete {deletion}; add --yes to allow it")
    if ask(f"Delete {deletion}? [y/N] ").strip().lower() not in ("y", "yes"):
        raise InputError("nothing was deleted")
