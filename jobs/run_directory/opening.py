"""Opening a run directory: to start a run, to work on one, or to read one."""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jobs.run_directory.config import RunConfig
from jobs.run_directory.identity import identity
from jobs.run_directory.marker import (
    LOCK,
    MARKER,
    Marker,
    marker_files,
    read_marker,
    restore_marker,
    store_of,
    write_marker,
)
from jobs.run_directory.paths import is_elsewhere, with_spelling_of
from jobs.run_directory.run import Run
from jobs.run_directory.source import check_source
from otcondense.datasets.records import OPTIONAL_IDENTITY
from otcondense.errors import InputError
from otcondense.near_paths import found_at
from otcondense.store import DriverLock, Store, put_back
from otcondense.wrong_values import described


def own_configuration(root: str) -> dict[str, Any]:
    """Return the configuration that a run was last computed with.

    Raises: InputError if there is no run, or its marker is damaged.
    """
    marker = _marker_of(root)
    if marker.configuration is None:
        raise InputError(
            f"the configuration in {store_of(root).path(MARKER)} is missing or damaged; run any "
            "stage again with its configuration file (--config FILE), which rewrites it"
        )
    return {**marker.configuration, "run": root}


def read_run(root: str) -> Run:
    """Return the run in a directory with its own configuration; nothing is locked or written.

    Raises: InputError if there is no run, or its marker is damaged.
    """
    values = own_configuration(root)
    try:
        return Run(RunConfig.model_validate(values))
    except ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(itertools.takewhile(_is_key, map(str, problem["loc"])))
        raise InputError(
            f"{root} has a configuration that this version cannot use: {name} "
            f"{described(problem)}; run a stage with its configuration file (--config FILE), which "
            "rewrites it"
        ) from error


def _is_key(part: str) -> bool:
    """Tell whether a part of a location is a key; pydantic also names the parts of unions there."""
    return "[" not in part and part not in ("int", "str", "float", "bool")


def reading_run(config: RunConfig) -> Run:
    """Return an existing run under a configuration; nothing is locked or written.

    Raises: InputError if there is no run, or it is of another source.
    """
    return _run_of(config, _marker_of(config.run))


@contextmanager
def working_run(
    config: RunConfig, *, may_start: bool = False, check: bool = False
) -> Iterator[Run]:
    """Lock a run for this driver, and note its configuration in its marker.

    The marker is only written once source and settings have been checked. After a mistake that
    only the work itself found, it is as before; a new run without any result is no run.

    Args:
        config: the run's configuration.
        may_start: whether the run may be new.
        check: whether to check source and settings also if they are those of the marker.

    Raises: InputError if another driver holds the run, or if the directory holds files of another
        source or layout, or of something else.
    """
    marker = read_marker(Run(config).store) if may_start else _marker_of(config.run)
    run = Run(config) if marker is None else _run_of(config, marker)
    is_changed = marker is None or not marker.is_of(run)
    if is_changed or check:
        check_source(run, is_start=may_start)
    try:
        with DriverLock(run.store):
            put_back(run.store)
            run.store.remove_temporaries()
            earlier = marker_files(run.store)
            write_marker(run)
            try:
                yield run
            except InputError:
                restore_marker(run.store, earlier)
                raise
    except InputError:
        if marker is None:
            _remove_if_empty(run.store)
        raise


def _remove_if_empty(store: Store) -> None:
    """Delete a directory in which nothing is but the lock of a failed first start."""
    if store.is_local and store.entries() == [LOCK]:
        store.remove(LOCK)
        with suppress(OSError):  # another process has just begun to use it
            Path(store.path()).rmdir()


def _marker_of(root: str) -> Marker:
    """Return the marker of an existing run.

    Raises: InputError if there is no run.
    """
    store = store_of(root)
    marker = read_marker(store)
    if marker is None:
        raise InputError(
            f"{root} must be a run directory, {found_at(root, 'no run there')}\n  "
            "`otcondense run` and `otcondense extract_features` start one"
        )
    return marker


def _run_of(config: RunConfig, marker: Marker) -> Run:
    """Return an existing run under a configuration, whose paths are spelled as in the marker.

    Names of directories carry a hash of these paths, so that one file must have one spelling.

    Raises: InputError if the source is another one.
    """
    if marker.configuration is None:
        return Run(config)
    values = config.model_dump(mode="json")
    spelled = with_spelling_of(marker.configuration, values, marker.directory)
    run = Run(RunConfig.model_validate(spelled))
    _refuse_other_source(run, marker.configuration)
    if is_elsewhere(run.config.source.path, marker.directory):
        raise InputError(
            f"source.path {run.config.source.path} of run {run.store.root} is relative to "
            f"{marker.directory}; start the command there"
        )
    return run


_UNSET = dict.fromkeys(OPTIONAL_IDENTITY)
"""Settings of a source that its identity has only if they are set."""


def _refuse_other_source(run: Run, earlier: Mapping[str, Any]) -> None:
    """Refuse to mix two sources in one directory.

    A damaged marker refuses nothing: every directory's name carries the hash of its inputs, so
    files of another source are never taken for files of this one.
    """
    source = earlier["source"]
    differences = []
    for key, value in (_UNSET | identity(run.config.source)).items():
        if (source.get(key) or None) != (value or None):
            differences.append(f"source.{key}: {source.get(key)!r} there, {value!r} here")
    if differences:
        raise InputError(
            f"run {run.store.root} was made from another source ({'; '.join(differences)}); "
            "name another directory for a new run, or leave out --config to use the run's own"
        )
