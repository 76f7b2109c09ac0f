"""What a run directory says of itself: `run.json` for commands, `config.yaml` for people.

A directory is a run because of what these files hold, never because of their names.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from jobs.run_directory.identity import identity
from jobs.run_directory.last_command import COMMAND_FILE
from jobs.run_directory.stage_log import STAGE_LOG
from jobs.run_directory.stages import is_result
from otcondense import __version__
from otcondense.datasets.records import SourceConfig
from otcondense.errors import InputError
from otcondense.reading import with_home
from otcondense.store import Store, canonical_json, fingerprint
from otcondense.store.local_files import HIDDEN

if TYPE_CHECKING:
    from jobs.run_directory.run import Run

MARKER = "run.json"
"""Name of the file that makes a directory a run."""
DESCRIPTION = "config.yaml"
"""Name of the same in YAML; only read where `run.json` is missing or damaged."""
ENTRIES = (MARKER, DESCRIPTION, ".lock", "logs", "marks", "sweeps")
"""Names in a run directory that are no results."""
SCHEMA = "otcondense-run"
LAYOUT_VERSION = 1
LOCK = ".lock"
HEADER = "# For people. Commands read run.json, and rewrite this file.\n"
TRACKER_FILES = ("logs/trackers/wandb.json", "logs/trackers/mlflow.json")
"""What trackers remember (`jobs.trackers.memory`)."""
OF_EVERY_START = {COMMAND_FILE, STAGE_LOG, *TRACKER_FILES}
"""Logs that a start writes before it has any result."""
VERSIONED = ("torch", "torchvision", "timm", "ray", "numpy", "pyarrow", "POT", "torch-fidelity")
"""Packages whose version the marker records."""
SHA256_DIGITS = 64
UNREADABLE = (yaml.YAMLError, TypeError, KeyError, ValueError, RecursionError)
"""What damaged files raise; ValueError stands for dates, encodings, InputError and pydantic too."""
MISSING = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


@dataclass(frozen=True)
class Marker:
    """The content of a marker."""

    layout: int = LAYOUT_VERSION
    configuration: Mapping[str, Any] | None = None
    """Resolved configuration of the last command that computed; None if it is damaged."""
    directory: str | None = None
    """Working directory of that command, where relative paths begin; None if unknown."""
    versions: Mapping[str, str] | None = None
    """Versions of packages; None if unknown."""

    def is_of(self, run: Run) -> bool:
        """Tell whether it says of `run` what `write_marker` would write."""
        expected = {"directory": str(Path.cwd()), **describe(run)}
        found = {name: getattr(self, name) for name in ("directory", "configuration", "versions")}
        return all(canonical_json(expected[name]) == canonical_json(found[name]) for name in found)


def store_of(root: str) -> Store:
    """Return the store of a run directory; `~` is the home folder.

    Workers have other working directories, so that a path on a local disk is absolute.

    Raises: InputError if the name is empty.
    """
    if not root.strip():
        raise InputError("a run directory must have a name, found an empty one; name it, as runs/a")
    return Store(root if "://" in root else str(with_home(root).resolve()))


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


def write_marker(run: Run) -> None:
    """Write both files unless they are up to date; the one that commands read comes first."""
    described = describe(run)
    marker = {"schema": SCHEMA, "directory": str(Path.cwd()), **described}
    if _stored_json(run.store) != marker:
        run.store.write_json(MARKER, marker)
    text = _description(described)
    if not run.store.exists(DESCRIPTION) or run.store.read_bytes(DESCRIPTION) != text:
        run.store.write_bytes(DESCRIPTION, text)


def marker_files(store: Store) -> dict[str, bytes | None]:
    """Return the content of both files, None for one that is not there."""
    names = (MARKER, DESCRIPTION)
    return {name: store.read_bytes(name) if store.exists(name) else None for name in names}


def restore_marker(store: Store, earlier: Mapping[str, bytes | None]) -> None:
    """Give both files the content of `marker_files`.

    A run that was new keeps its marker if it has results.
    """
    for name, content in earlier.items():
        if content is not None:
            store.write_bytes(name, content)
    if any(earlier.values()) or set(store.entries()) - {MARKER, DESCRIPTION, LOCK, "logs"}:
        return
    logs = store.list("logs")
    if set(logs) - OF_EVERY_START:
        return
    for name in (*earlier, *logs):
        store.remove(name)
    store.remove_empty_folders(logs)


def is_description_damaged(store: Store) -> bool:
    """Tell whether `config.yaml` is not what belongs to an undamaged `run.json`."""
    marker = _stored_json(store)
    if marker is None:
        return False
    described = {name: marker[name] for name in ("layout", "source", "configuration", "versions")}
    is_there = store.exists(DESCRIPTION)
    return not is_there or _content(store.read_bytes(DESCRIPTION)) != described


def _description(described: dict[str, Any]) -> bytes:
    text = yaml.safe_dump(described, sort_keys=False, allow_unicode=True)
    return f"{HEADER}{text}".encode()


def _content(text: bytes) -> Any:
    """Return the value of a YAML text, None if it is none."""
    try:
        return yaml.safe_load(text)
    except UNREADABLE:
        return None


def _stored_json(store: Store) -> dict[str, Any] | None:
    """Return the content of `run.json`, None if it is missing, damaged or not ours."""
    try:
        values = store.read_json(MARKER)
    except (*UNREADABLE, *MISSING):
        return None
    return values if values.get("schema") == SCHEMA else None


def read_marker(store: Store) -> Marker | None:
    """Return the marker of a directory; None if it is empty, or not there.

    If both files are damaged or missing, results of ours make it a run too.

    Raises: InputError if it holds other things than a run, or a run of another layout.
    """
    marker = find_marker(store)
    if marker is None:
        return None
    if marker.layout != LAYOUT_VERSION:
        raise InputError(
            f"{store.root} must have layout {LAYOUT_VERSION}, found {marker.layout}: "
            "another version of OTCondense wrote it; use that version, or another directory"
        )
    return marker


def find_marker(store: Store) -> Marker | None:
    """Return the marker of a directory, of whatever layout; otherwise as `read_marker`."""
    marker = _from_json(store) or _from_yaml(store)
    if marker is not None:
        return marker
    entries = [name for name in store.entries() if name != LOCK]
    if not entries:
        return None
    if _has_results(store):
        return Marker()
    raise InputError(
        f"{store.root} holds files that no run made, such as {entries[0]}; "
        "name a run; a new one needs an empty or new directory"
    )


def _has_results(store: Store) -> bool:
    """Tell whether there are results of ours in their places, and nothing else."""
    from otcondense.store import stored_metadata  # it needs pyarrow, `jobs.status` does not

    names = store.list()
    if {entry for entry in store.entries() if not _is_ours(entry, names)}:
        return False
    tables = (name for name in names if is_result(name) and name.endswith(".parquet"))
    return any(stored_metadata(store, name) is not None for name in tables)


def _is_ours(entry: str, names: list[str]) -> bool:
    """Tell whether an entry of a directory is one of a run: a file, or a folder with a result."""
    if entry in ENTRIES or entry.startswith(HIDDEN) or is_result(entry):
        return True
    return any(name.startswith(f"{entry}/") and is_result(name) for name in names)


def _from_json(store: Store) -> Marker | None:
    values = _stored_json(store)
    if values is None:
        return None
    return Marker(
        layout=values["layout"],
        configuration=values["configuration"],
        directory=values["directory"],
        versions=values["versions"],
    )


def _from_yaml(store: Store) -> Marker | None:
    """Return what `config.yaml` says; it has no digest, but a fingerprint of the source."""
    try:
        values = yaml.safe_load(store.read_bytes(DESCRIPTION))
        layout = int(values["layout"])
        versions = dict(values["versions"])
        if "otcondense" not in versions or len(values["source"]) != SHA256_DIGITS:
            return None
        return Marker(layout, _configuration(values), versions=versions)
    except (*UNREADABLE, *MISSING):
        return None


def _configuration(values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the configuration in a description; None if its source was changed."""
    configuration = dict(values["configuration"])
    source = SourceConfig.model_validate(configuration["source"])
    return configuration if fingerprint(identity(source)) == values["source"] else None
