"""Opening a run directory: reading its description, locking it, refusing a foreign one."""

from collections.abc import Iterator
from contextlib import contextmanager

import yaml
from pydantic import ValidationError

from jobs.run_directory.config import RunConfig
from jobs.run_directory.run import LAYOUT_VERSION, Run, identity
from jobs.run_directory.stages import OUTPUT_PREFIXES
from otcondense.errors import InputError
from otcondense.store import DriverLock, Store

OURS = (*OUTPUT_PREFIXES, "logs/", "sweeps/", ".lock")
"""Prefixes of all names in a run directory, apart from its description."""


def read_run(root: str) -> Run:
    """Return the run in a directory as its `config.yaml` describes it.

    Raises: InputError if there is no run, or its configuration is damaged.
    """
    store = Store(root)
    if not store.exists("config.yaml"):
        raise InputError(f"{root} must be the directory of a run, found no config.yaml there")
    try:
        values = yaml.safe_load(store.read_bytes("config.yaml"))["configuration"]
        return Run(RunConfig.model_validate({**values, "run": root}))
    except (yaml.YAMLError, ValidationError, TypeError, KeyError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{store.path('config.yaml')} is damaged ({reason}); run any stage again with its configuration file"
        ) from error


@contextmanager
def open_run(config: RunConfig, *, fresh: bool = False) -> Iterator[Run]:
    """Take the run directory for this driver, or say why it cannot be had.

    Args:
        config: the run's configuration.
        fresh: delete what an earlier run left there.

    Raises: InputError if another driver holds the run, or if it holds another source's or layout's files.
    """
    run = Run(config)
    with DriverLock(run.store):
        if fresh:
            for name in _entries(run.store):
                run.store.remove(name)
        _refuse_other_run(run)
        run.store.remove_temporaries()
        run.store.write_bytes(
            "config.yaml",
            yaml.safe_dump(run.description(), sort_keys=False, allow_unicode=True).encode(),
        )
        yield run


def _entries(store: Store) -> list[str]:
    """Return what is to be deleted for a fresh run.

    Raises: InputError if nothing says that the directory is a run's.
    """
    if any(name != ".lock" for name in store.list()) and not store.exists("config.yaml"):
        raise InputError(
            f"{store.root} holds files and no config.yaml, so it may not be a run's to delete; delete it by hand"
        )
    return sorted({name.split("/")[0] for name in store.list()} - {".lock"})


def _refuse_foreign_directory(store: Store) -> None:
    others = [name for name in store.list() if not name.startswith(OURS)]
    if others and not store.exists("config.yaml"):
        raise InputError(
            f"{store.root} holds files that no run made, such as {others[0]}; choose another directory with --run"
        )


def _refuse_other_run(run: Run) -> None:
    """Refuse to mix two sources.

    A description that is damaged or lost refuses nothing: each directory's name has the hash of what its files were made from, so no file of
    another source is taken for one of this.
    """
    _refuse_foreign_directory(run.store)
    try:
        earlier = yaml.safe_load(run.store.read_bytes("config.yaml"))
        layout, source = earlier["layout"], dict(earlier["configuration"]["source"])
    except (FileNotFoundError, yaml.YAMLError, TypeError, KeyError, ValueError):
        return
    now = identity(run.config.source)
    differences = [
        f"source.{key}: {source.get(key)!r} there, {now.get(key)!r} here"
        for key in now
        if now[key] != source.get(key)
    ]
    if layout != LAYOUT_VERSION:
        differences.append(f"layout: {layout!r} there, {LAYOUT_VERSION!r} here")
    if differences:
        raise InputError(
            f"run {run.store.root} was made from another source ({'; '.join(differences)}); "
            "choose another directory with --run NEW, or delete what is there with --fresh"
        )
