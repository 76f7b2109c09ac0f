"""`otcondense run`: the command line."""

import argparse
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from jobs.command.choice import chosen_config, named_run
from jobs.command.cli import run_on_directory, run_parser
from jobs.run_directory.config import RunConfig
from jobs.run_directory.marker import find_marker, store_of
from jobs.run_directory.run import Run
from otcondense.datasets.suffixes import IMAGE_SUFFIXES
from otcondense.errors import InputError
from otcondense.near_paths import found_at
from otcondense.reading import with_home

MINUTES = 10.0
"""How long `--train` may take by default."""


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = run_parser("run", words="RUN|FOLDER key=value")
    made.add_argument(
        "--train",
        choices=("tiny",),
        help="with a folder of images: train a small model on the subset and on a random one",
    )
    made.add_argument(
        "--minutes",
        type=float,
        help="how long the model of --train may take to train, sample and measure on this machine; "
        f"features and selection come before and are not counted [{MINUTES:g}]",
    )
    return made


def choose(options: argparse.Namespace) -> RunConfig:
    """Return the configuration: of a folder of images, else of a file or an existing run.

    Raises: InputError for a mistake.
    """
    _check_minutes(options)
    folders = [word for word in options.words if "=" not in word and _is_image_folder(word)]
    if not folders:
        if options.train is not None:
            root = named_run(options.run, options.words)
            found = f"; {root}: {found_at(root, 'no images there')}" if root else ""
            raise InputError(
                f"--train needs a folder of images, as in otcondense run my-photos/{found}"
            )
        return chosen_config(options.verb, options.config, options.run, options.words)
    from jobs.run.folder_config import FolderRequest, folder_config

    others = [word for word in options.words if "=" not in word and word != folders[0]]
    request = FolderRequest(
        folder=folders[0],
        run=named_run(options.run, others),
        config=options.config,
        settings=[word for word in options.words if "=" in word],
        train=options.train is not None,
        minutes=MINUTES if options.minutes is None else options.minutes,
        is_dry=options.dry_run,
    )
    return folder_config(request)


def _check_minutes(options: argparse.Namespace) -> None:
    if options.minutes is None:
        return
    if options.train is None:
        raise InputError("--minutes is for --train, found it without; add --train tiny")
    if not 0 < options.minutes < math.inf:
        raise InputError(f"--minutes must be a number above 0, found {options.minutes:g}")


def _is_image_folder(word: str) -> bool:
    """Tell whether a word names a folder of this machine with images in it that is no run."""
    if not word.strip() or "://" in word or not (place := with_home(word)).is_dir():
        return False
    try:
        find_marker(store_of(word))
    except InputError:  # it holds something else than a run
        return any(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in _names(place))
    return False


def _names(folder: Path) -> Iterator[str]:
    for _, _, names in os.walk(folder):
        yield from names


def work(run: Run, _: argparse.Namespace) -> None:
    """Run the verb on its run directory."""
    from jobs.run.command import run_all

    run_all(run)


def forecast(run: Run, on: str | None) -> None:
    """Print what the verb would do on some hardware."""
    from jobs.run.dry_run import forecast_run

    forecast_run(run, on)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb and leave the process."""
    run_on_directory(parser(), work, arguments, forecast, choose)


if __name__ == "__main__":
    main()
