"""The command `otcondense VERB`: finds the folders of the workflow and runs a verb of theirs.

The workflow (`jobs`, `pipeline`, `actors`) is an application on top of this package. In a checkout
its folders lie next to the package; a wheel carries them below `otcondense/_workflow`, so that
their common names do not land among the installed packages. This module starts them by name and
imports nothing of theirs, and nothing heavy.
"""

import json
import os
import runpy
import sys
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

PACKAGE = Path(__file__).resolve().parent
FOLDERS = ("jobs", "pipeline", "actors")
"""The folders of the workflow."""
NEEDED = (
    "cachetools",
    "diffusers",
    "fastapi",
    "jinja2",
    "ot",
    "pathspec",
    "PIL",
    "plotly",
    "psutil",
    "ray",
    "sklearn",
    "tensorboardX",
    "timm",
    "torch_fidelity",
    "torchvision",
    "tqdm",
    "uvicorn",
)
"""The modules of the extra `workflow`, one of each of its packages."""
MISTAKE = 2
"""Exit status of a mistake of the user's, as that of every verb."""
HELP = ("-h", "--help")
NAMED = 3
"""Missing packages that are named; without the extra, nearly all are missing."""


def workflow_folder(package: Path = PACKAGE) -> Path | None:
    """Return the folder that holds those of the workflow; None if there is none.

    Args:
        package: folder of the package `otcondense`.
    """
    for place in (package / "_workflow", package.parent):
        if all((place / name / "__init__.py").is_file() for name in FOLDERS):
            return place
    return None


def missing_packages() -> list[str]:
    """Return the modules of the extra `workflow` that this Python does not have."""
    return [name for name in NEEDED if find_spec(name) is None]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `otcondense VERB …` and leave the process with its exit status.

    Args:
        arguments: the command line; None reads the process's own.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["--version"]:
        from otcondense import __version__

        print(f"otcondense {__version__}")
        return
    folder = workflow_folder()
    if folder is None:
        _stop(f"the folders {', '.join(FOLDERS)} must lie next to the package, found none there")
        return
    verb = words[0].replace("-", "_") if words else ""
    is_verb = verb.isidentifier() and (folder / "jobs" / verb / "__main__.py").is_file()
    missing = missing_packages() if is_verb or not words or words[0] in HELP else []
    if missing and is_verb:
        _stop(
            f"`otcondense {words[0]}` needs the packages of the workflow, found no "
            f"{_listed(missing)} in {sys.prefix}"
        )
    if missing:
        print(f"These commands need packages that are not here; install: {install_command()}\n")
    _make_importable(folder)
    _run(f"jobs.{verb}" if is_verb else "jobs", words[1:] if is_verb else words)


def _stop(reason: str) -> None:
    """Say what is missing and what installs it; leave the process."""
    print(
        f"error: {reason}; install them: {install_command()}, or use the environment that "
        "has them (after `make setup`: .venv/bin/otcondense)",
        file=sys.stderr,
    )
    sys.exit(MISTAKE)


def _listed(missing: Sequence[str]) -> str:
    """Return names of missing packages, and how many more there are."""
    more = len(missing) - NAMED
    return ", ".join(missing[:NAMED]) + (f" and {more} more" if more > 0 else "")


def install_command() -> str:
    """Return what installs the extra `workflow` the way this package was installed."""
    pip = f"{sys.executable} -m pip install"
    origin = _origin()
    places = [unquote(origin.removeprefix("file://"))] if origin.startswith("file://") else []
    for checkout in (PACKAGE.parent, *map(Path, places)):
        if (checkout / "pyproject.toml").is_file() and (checkout / "constraints.txt").is_file():
            return f"`{pip} -c constraints.txt '.[workflow]'` in {checkout}"
    return f"`{pip} 'otcondense[workflow]{f' @ {origin}' if origin else ''}'`"


def _origin() -> str:
    """Return the URL of the folder or file that pip installed the package from.

    It is empty if that was an index (https://peps.python.org/pep-0610/).
    """
    try:
        record = metadata.distribution("otcondense").read_text("direct_url.json")
        return str(json.loads(record or "{}").get("url", ""))
    except (metadata.PackageNotFoundError, ValueError, AttributeError):
        return ""


def _make_importable(folder: Path) -> None:
    """Put the workflow first on the path of this process, and of all that it starts."""
    place = str(folder)
    sys.path.insert(0, place)
    others = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    if place not in others:
        os.environ["PYTHONPATH"] = os.pathsep.join([place, *others])


def _run(module: str, arguments: Sequence[str]) -> None:
    """Run a module as `python -m MODULE` does."""
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
