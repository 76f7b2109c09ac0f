"""Opening a run directory: reading its description, locking it, refusing a foreign one."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import yaml

from jobs.run_directory.config import RunConfig
from jobs.run_directory.run import Run, identity
from jobs.run_directory.stages import OUTPUT_PREFIXES
from otcondense import __version__
from otcondense.errors import InputError
from otcondense.store import DriverLock, Store, fingerprint

DESCRIPTION = "config.yaml"
"""Name of the file with the resolved configuration."""
LAYOUT_VERSION = 1
LOCK = ".lock"
OURS = (*OUTPUT_PREFIXES, "logs/", "sweeps/", LOCK)
"""Prefixes of all names in a run directory except its description."""
UNREADABLE = (yaml.YAMLError, TypeError, KeyError, ValueError, RecursionError)
"""What a damaged description raises; ValueError stands for dates, encodings and pydantic too."""
VERSIONED = ("torch", "torchvision", "timm", "ray", "numpy", "pyarrow", "POT", "torch-fidelity")
"""Packages whose version the description records."""


def read_run(root: str) -> Run:
    """Return the run in a directory as its `config.yaml` describes it.

    Raises: InputError if there is no run, or its configuration is damaged.
    """
    store = Store(root)
    if not store.exists(DESCRIPTION):
        raise InputError(f"{root} must be a run directory, found no {DESCRIPTION} there")
    try:
        values = yaml.safe_load(store.read_bytes(DESCRIPTION))["configuration"]
        return Run(RunConfig.model_validate({**values, "run": root}))
    except UNREADABLE as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{store.path(DESCRIPTION)} is damaged ({reason}); "
            "run any stage again with its configuration file"
        ) from error


@contextmanager
def open_run(config: RunConfig, *, fresh: bool = False) -> Iterator[Run]:
    """Lock the run directory for this driver and write its description.

    Args:
        config: the run's configuration.
        fresh: delete the files of an earlier run there.

    Raises: InputError if another driver holds the run, or if the directory holds files of another
        source or layout.
    """
    run = Run(config)
    with DriverLock(run.store):
        if fresh:
            for name in _entries(run.store):
                run.store.remove(name)
        _refuse_foreign_directory(run.store)
        _refuse_other_source(run)
        run.store.remove_temporaries()
        text = yaml.safe_dump(describe(run), sort_keys=False, allow_unicode=True)
        run.store.write_bytes(DESCRIPTION, text.encode())
        yield run


def describe(run: Run) -> dict[str, Any]:
    """Return the resolved configuration, the versions of packages and the source's fingerprint."""
    versions = {"otcondense": __version__, "python": platform.python_version()}
    for name in VERSIONED:
        versions[name] = metadata.version(name)
    return {
        "layout": LAYOUT_VERSION,
        "source": fingerprint(identity(run.config.source)),
        "configuration": run.config.model_dump(mode="json"),
        "versions": versions,
    }


def _entries(store: Store) -> list[str]:
    """Return the names to delete for a fresh run.

    Raises: InputError if nothing shows that the directory belongs to a run.
    """
    names = store.list()
    others = [name for name in names if name != LOCK]
    if others and not store.exists(DESCRIPTION):
        raise InputError(
            f"{store.root} holds files and no {DESCRIPTION}, so it may not belong to a run; "
            "delete it by hand"
        )
    return sorted({name.split("/")[0] for name in others})


def _refuse_foreign_directory(store: Store) -> None:
    others = [name for name in store.list() if not name.startswith(OURS)]
    if others and not store.exists(DESCRIPTION):
        raise InputError(
            f"{store.root} holds files that no run made, such as {others[0]}; "
            "choose another directory with --run"
        )


def _refuse_other_source(run: Run) -> None:
    """Refuse to mix two sources in one directory.

    A damaged or missing description refuses nothing: every directory's name carries the hash of
    its inputs, so files of another source are never taken for files of this one.
    """
    try:
        earlier = yaml.safe_load(run.store.read_bytes(DESCRIPTION))
        layout = earlier["layout"]
        source = dict(earlier["configuration"]["source"])
    except (FileNotFoundError, *UNREADABLE):
        return
    differences = []
    for key, value in identity(run.config.source).items():
        if source.get(key) != value:
            differences.append(f"source.{key}: {source.get(key)!r} there, {value!r} here")
    if layout != LAYOUT_VERSION:
        differences.append(f"layout: {layout!r} there, {LAYOUT_VERSION!r} here")
    if differences:
        raise InputError(
            f"run {run.store.root} was made from another source ({'; '.join(differences)}); "
            "choose another directory with --run NEW, or delete what is there with --fresh"
        )
