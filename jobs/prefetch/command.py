"""Fetch and check once all weights that a configuration needs, so that workers run offline: `python -m jobs.prefetch CONFIG`."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs.command.settings import load_config
from jobs.prefetch.weights import WeightFile, describe, fetch, needs, sha256_file
from otcondense.errors import InputError
from otcondense.store import Store

LIST = "otcondense-weights.json"
"""Beside the fetched files: size, SHA-256, licence and revision of each as it was first fetched."""


def cache() -> Path:
    """Return the directory of fetched weights; HF_HOME names another."""
    return Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")


def list_weights(
    config_file: str, overrides: list[str], kinds: Sequence[str], *, offline: bool
) -> list[WeightFile]:
    """Return every file that a configuration needs.

    Raises: InputError for a mistake in the configuration, or a file that cannot be had.
    """
    config = load_config(config_file, overrides)
    wanted = sorted({*kinds, *config.training_inputs})
    return [file for need in needs(config, wanted) for file in describe(need, offline=offline)]


def check(file: WeightFile, path: Path, known: dict[str, Any]) -> dict[str, Any]:
    """Return what is to be kept of a fetched file.

    Args:
        file: as its hub describes it.
        path: as it lies here.
        known: what was kept of every file before.

    Raises: InputError if it is another file than the hub says, or than it was.
    """
    found, earlier = sha256_file(path), known.get(file.key)
    expected = file.sha256 or (earlier or {}).get("sha256")
    if expected is not None and found != expected:
        raise InputError(
            f"{path} must have the SHA-256 {expected}, found {found}; delete it and run prefetch again"
        )
    if earlier is not None and earlier["sha256"] != found:
        raise InputError(
            f"{file.key} is another file than the one fetched before (SHA-256 {earlier['sha256']}, now {found}): features made with both do "
            f"not belong together; keep one, and delete its entry in {cache() / LIST}"
        )
    return {
        "size": path.stat().st_size,
        "sha256": found,
        "licence": file.licence,
        "revision": file.revision,
    }


def prefetch(files: Sequence[WeightFile], *, offline: bool) -> None:
    """Fetch and check every file and keep the list of them."""
    store = Store(str(cache()))
    known = store.read_json(LIST) if store.exists(LIST) else {}
    for file in files:
        entry = check(file, fetch(file, offline=offline), known)
        print(f"checked {file.key}: {entry['sha256']}")
        # The list grows with each file, so that an interruption keeps what was checked.
        if known.get(file.key) != entry and file.need.place != file.key:
            known[file.key] = entry
            store.write_json(LIST, known)


def print_files(files: Sequence[WeightFile]) -> None:
    """Print one line for each file."""
    print(f"{'used for':<36}{'size':>12}  {'licence':<14}{'SHA-256':<18}file")
    for file in files:
        print(
            f"{file.need.used_for:<36}{file.size / 1e6:>9.1f} MB  {file.licence:<14}{(file.sha256 or 'not hashed')[:16]:<18}{file.key}"
        )
    print(f"{len(files)} files, {sum(file.size for file in files) / 1e6:.1f} MB")


def prefetch_all(options: argparse.Namespace) -> None:
    """List the files that a configuration needs, then download and check them.

    Raises: InputError for a mistake in the configuration, or a file that is not available.
    """
    files = list_weights(options.config, options.overrides, options.also, offline=options.offline)
    print_files(files)
    if not options.list:
        prefetch(files, offline=options.offline)
        print(f"\nworkers run offline with\n  export HF_HOME={cache()} HF_HUB_OFFLINE=1")
