"""The user's own YAML files that a job needs: a job sees the package that is sent, and no more."""

import argparse
import os
from pathlib import Path

from jobs.command.yaml_files import chain_of
from otcondense.errors import InputError

OPTIONS = ("config", "compare", "sweep", "file")
"""Options and words that name a YAML file of settings."""
SUFFIXES = (".yaml", ".yml")


def own_files(options: argparse.Namespace) -> dict[str, Path]:
    """Return the YAML files that a command line names by relative paths, with their bases.

    They go to the same places below the directory of the job, so that the command line means the
    same there. An absolute path is one of storage that all nodes share, and a name such as `demo`
    one of the shipped files.

    Args:
        options: of the verb that is submitted.

    Returns: each file by its path in the package.

    Raises: InputError for a file above this directory, or a base that does not exist.
    """
    found: dict[str, Path] = {}
    for option in OPTIONS:
        named = getattr(options, option, None)
        if not isinstance(named, str) or not _is_own(named):
            continue
        for file in chain_of(Path(named)):
            if not file.is_absolute():
                found[_place(file)] = file
    return found


def _is_own(named: str) -> bool:
    path = Path(named)
    return path.suffix in SUFFIXES and not path.is_absolute() and path.is_file()


def _place(file: Path) -> str:
    place = os.path.normpath(file)
    if place.startswith(os.pardir):
        raise InputError(
            f"the file {file} must lie below this directory to be sent with a job; start the "
            "command further up, or give an absolute path on storage that all nodes share"
        )
    return Path(place).as_posix()
