"""Finished runs, as tests compare and copy them."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import yaml

from jobs.command.settings import load_config
from jobs.run_directory.marker import write_marker
from jobs.run_directory.run import Run
from jobs.run_directory.stages import HASH, STEP

NO_RESULTS = ("logs/", ".lock", "report.html", "run.json", "config.yaml", "sweeps/", "best.yaml")
"""Files of a run, or of a sweep in it, that hold times or paths; all others are results."""


def example_of(pattern: str) -> str:
    """Return a name that matches a pattern of the stage table."""
    return pattern.replace(HASH, "0a1b2c3d").replace(STEP, "000010").replace("*", "x")


def start_run(config: Path, directory: Path | None = None) -> Run:
    """Make a directory the run of a configuration, as its first command does."""
    run = Run(load_config(str(config), [], None if directory is None else str(directory)))
    write_marker(run)
    return run


def results(directory: Path, prefixes: tuple[str, ...] = ("",)) -> dict[str, bytes]:
    """Return the content of every result below `directory` whose name has one of the prefixes."""
    contents = {}
    for folder, _, names in os.walk(directory, followlinks=True):
        for path in (Path(folder, name) for name in names):
            name = path.relative_to(directory).as_posix()
            if path.is_file() and name.startswith(prefixes) and not name.startswith(NO_RESULTS):
                contents[name] = path.read_bytes()
    return dict(sorted(contents.items()))


def write_times(paths: Iterable[Path]) -> dict[Path, int]:
    """Return when each file was written, so that a file that is written again is noticed."""
    return {path: path.stat().st_mtime_ns for path in paths}


def copy_run(finished: Path, root: Path, *, without: tuple[str, ...] = ()) -> Path:
    """Copy a finished run, and return the configuration file of the copy.

    Images and weights stay where they are: a run belongs to the path of its source.

    Args:
        finished: folder with `tiny.yaml` and `run`.
        root: folder of the copy.
        without: patterns of file names that are left out.
    """
    shutil.copytree(finished / "run", root / "run", ignore=shutil.ignore_patterns(*without))
    values = yaml.safe_load((finished / "tiny.yaml").read_text())
    values["run"] = str(root / "run")
    path = root / "tiny.yaml"
    path.write_text(yaml.safe_dump(values))
    return path
