"""Fetch and check once all weights that a configuration needs, so that workers run offline: `python -m jobs.prefetch CONFIG`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs.cli import MISTAKE
from jobs.run import needed_inputs
from jobs.run_directory import Run
from jobs.settings import load_config
from jobs.weights import KINDS, WeightFile, describe, fetch, needs, sha256_file
from otcondense.errors import InputError
from otcondense.store import Store

LIST = "otcondense-weights.json"
"""Beside the fetched files: size, SHA-256, licence and revision of each as it was first fetched."""


def cache() -> Path:
    """Return the directory of fetched weights; HF_HOME names another."""
    return Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")


def list_weights(config_file: str, overrides: list[str], kinds: Sequence[str], *, offline: bool) -> list[WeightFile]:
    """Return every file that a configuration needs.

    Raises: InputError for a mistake in the configuration, or a file that cannot be had.
    """
    config = load_config(config_file, overrides)
    wanted = sorted({*kinds, *needed_inputs(Run(config))})
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
        raise InputError(f"{path} must have the SHA-256 {expected}, found {found}; delete it and run prefetch again")
    if earlier is not None and earlier["sha256"] != found:
        raise InputError(
            f"{file.key} is another file than the one fetched before (SHA-256 {earlier['sha256']}, now {found}): features made with both do "
            f"not belong together; keep one, and delete its entry in {cache() / LIST}"
        )
    return {"size": path.stat().st_size, "sha256": found, "licence": file.licence, "revision": file.revision}


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
        print(f"{file.need.used_for:<36}{file.size / 1e6:>9.1f} MB  {file.licence:<14}{(file.sha256 or 'not hashed')[:16]:<18}{file.key}")
    print(f"{len(files)} files, {sum(file.size for file in files) / 1e6:.1f} MB")


def main(arguments: Sequence[str] | None = None) -> None:
    """List the files, fetch and check them, and leave the process: 0 done, 2 a mistake of the user's or something that cannot be had."""
    parser = argparse.ArgumentParser(prog="python -m jobs.prefetch", description=__doc__)
    parser.add_argument("config", help="configuration file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings that override the configuration file's")
    parser.add_argument("--also", nargs="+", choices=KINDS, default=[], help="representations to extract beyond those the models need")
    parser.add_argument("--list", action="store_true", help="list the files, fetch nothing")
    parser.add_argument("--offline", action="store_true", help="check what is on this machine without asking the hub")
    options = parser.parse_intermixed_args(arguments)
    try:
        files = list_weights(options.config, options.overrides, options.also, offline=options.offline)
        print_files(files)
        if not options.list:
            prefetch(files, offline=options.offline)
            print(f"\nworkers run offline with\n  export HF_HOME={cache()} HF_HUB_OFFLINE=1")
    except InputError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        sys.exit(MISTAKE)


if __name__ == "__main__":
    main()
