"""Fetch and check all weights and images of a configuration once, so that workers run offline."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from jobs.command.settings import load_config
from jobs.requirements.weight_files import WeightFile, describe, fetch, sha256_file
from jobs.requirements.weights import needs
from otcondense.config import Config
from otcondense.errors import InputError
from otcondense.store import Store

LIST = "otcondense-weights.json"
"""File in the directory of fetched weights with an entry for each of them."""
DIGITS_SHOWN = 16
"""First digits of a SHA-256 in the table."""


class Entry(Config):
    """One file as it was first fetched."""

    size: int
    sha256: str
    licence: str
    revision: str


def cache() -> Path:
    """Return the directory of fetched weights, HF_HOME if that is set."""
    return Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")


def prefetch_all(
    config_file: str,
    overrides: list[str],
    kinds: Sequence[str],
    *,
    only_list: bool,
    offline: bool,
) -> None:
    """List the files that a configuration needs, then fetch and check them.

    Args:
        config_file: the configuration file.
        overrides: `key=value` settings that override it.
        kinds: representations that are needed in addition to those of the models.
        only_list: whether to fetch nothing.
        offline: whether to check local files without asking the hub.

    Raises: InputError for a mistake in the configuration, or a file that is not available.
    """
    files = list_weights(config_file, overrides, kinds, offline=offline)
    print_files(files)
    if not only_list:
        prefetch(files, offline=offline)
        print(f"\nworkers run offline with\n  export HF_HOME={cache()} HF_HUB_OFFLINE=1")


def list_weights(
    config_file: str, overrides: list[str], kinds: Sequence[str], *, offline: bool
) -> list[WeightFile]:
    """Return every file that a configuration needs.

    Raises: InputError for a mistake in the configuration, or a file that is not available.
    """
    config = load_config(config_file, overrides)
    wanted = sorted({*kinds, *config.training_inputs})
    files: list[WeightFile] = []
    problems = []
    for need in needs(config, wanted):
        try:
            files += describe(need, offline=offline)
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError("\n".join(problems))
    return files


def print_files(files: Sequence[WeightFile]) -> None:
    """Print one line for each file."""
    print(f"{'used for':<36}{'size':>12}  {'licence':<14}{'SHA-256':<18}file")
    for file in files:
        digest = (file.sha256 or "not hashed")[:DIGITS_SHOWN]
        size = f"{file.size / 1e6:>9.1f} MB"
        print(f"{file.need.used_for:<36}{size}  {file.licence:<14}{digest:<18}{file.shown}")
    print(f"{len(files)} files, {sum(file.size for file in files) / 1e6:.1f} MB")


def prefetch(files: Sequence[WeightFile], *, offline: bool) -> None:
    """Fetch and check every file, and record it in the list.

    Raises: InputError if a file cannot be fetched or has changed, or the list is damaged.
    """
    store = Store(str(cache()))
    known = read_list(store)
    for file in files:
        entry = check(file, fetch(file, offline=offline), known)
        print(f"checked {file.shown}: {entry.sha256}")
        # The list grows with each file, so that an interruption keeps the checked ones.
        if known.get(file.key) != entry and file.need.place != file.key:
            known[file.key] = entry
            store.write_json(LIST, {key: known[key].model_dump() for key in known})


def read_list(store: Store) -> dict[str, Entry]:
    """Return the entries of the fetched files.

    Raises: InputError if the list is damaged.
    """
    if not store.exists(LIST):
        return {}
    try:
        return {key: Entry(**values) for key, values in store.read_json(LIST).items()}
    except (TypeError, ValidationError) as error:
        raise InputError(
            f"{store.path(LIST)} is damaged; delete it and run prefetch again"
        ) from error


def check(file: WeightFile, path: Path, known: Mapping[str, Entry]) -> Entry:
    """Return the entry of a fetched file.

    Args:
        file: as its hub describes it.
        path: the file on this machine.
        known: the entries of files that were fetched before.

    Raises: InputError if the file differs from the hub's, or from the one fetched before.
    """
    digest = sha256_file(path)
    earlier = known.get(file.key)
    expected = file.sha256
    if expected is None and earlier is not None:
        expected = earlier.sha256
    if expected is not None and digest != expected:
        raise InputError(
            f"{path} must have the SHA-256 {expected}, found {digest}; "
            "delete it and run prefetch again"
        )
    if earlier is not None and earlier.sha256 != digest:
        raise InputError(
            f"{file.key} is another file than the one fetched before (SHA-256 {earlier.sha256}, "
            f"now {digest}): features made with both do not belong together; "
            f"keep one, and delete its entry in {cache() / LIST}"
        )
    return Entry(
        size=path.stat().st_size,
        sha256=digest,
        licence=file.licence,
        revision=file.revision,
    )
