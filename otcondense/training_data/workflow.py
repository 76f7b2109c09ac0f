"""Questions to the workflow, answered by a process of its own.

Only the workflow knows the names of the files of a run: each carries a hash of the settings that
made it. Its folders have common names, such as `jobs`, that must not come in the way of the modules
of a training script.
"""

import json
import os
import subprocess
import sys
from typing import Any

from otcondense.command import FOLDERS, workflow_folder
from otcondense.errors import InputError

ERROR = "error: "
"""Start of the last line of a command that found a mistake."""
MISTAKE = 2
"""Exit status of a command that found a mistake."""


def ask_workflow(module: str, *words: str) -> Any:
    """Run a module of the workflow, and return the JSON in the last line that it printed.

    Args:
        module: such as `jobs.answers.places`.
        words: its arguments.

    Raises: InputError with the mistake that the module found; RuntimeError if it fails otherwise.
    """
    folder = workflow_folder()
    if folder is None:
        raise InputError(
            f"the folders {', '.join(FOLDERS)} must lie next to the package, found none there; "
            "install the package again, or read an export of the run"
        )
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stderr.strip()
    if done.returncode == MISTAKE and ERROR in said:
        raise InputError(said.rpartition(ERROR)[2])
    if done.returncode:
        raise RuntimeError(f"{module} ended with status {done.returncode}: {said}")
    return json.loads(done.stdout.splitlines()[-1])
