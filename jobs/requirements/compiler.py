"""The compiler that compiled blocks need when they first run on a GPU."""

import os
import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import torch

from jobs.run_directory.config import RunConfig
from jobs.run_directory.model_config import ModelConfigs
from jobs.run_directory.run import Run
from otcondense.diffusion.checkpoint_state import STATE_FILE, checkpoint_directory
from otcondense.errors import InputError

COMPILERS = ("gcc", "clang")
"""C compilers that Triton looks for if CC is not set; it builds the launcher of its kernels."""
HEADER = "Python.h"
REMEDY = (
    "install one (apt-get install gcc libc6-dev), or set CC to its path; cluster/Dockerfile has it"
)


def find_compiler(environment: Mapping[str, str]) -> str | None:
    """Return the path of the C compiler that Triton would call, None if there is none."""
    named = environment.get("CC")
    for name in [named] if named else COMPILERS:
        found = shutil.which(name, path=environment.get("PATH"))
        if found:
            return found
    return None


def find_headers(folder: str | None = None) -> Path | None:
    """Return the file of Python's headers, by default of this Python; None if it is missing."""
    path = Path(folder or sysconfig.get_paths()["include"]) / HEADER
    return path if path.exists() else None


def missing_tools(environment: Mapping[str, str], headers: str | None = None) -> list[str]:
    """Return what is missing to compile, in words; empty if nothing is.

    Args:
        environment: variables of the process; CC and PATH are read.
        headers: folder of Python's headers; None takes that of this Python.
    """
    missing = []
    if find_compiler(environment) is None:
        missing.append(f"a C compiler ({environment.get('CC') or ' or '.join(COMPILERS)})")
    if find_headers(headers) is None:
        missing.append(f"Python's headers ({HEADER})")
    return missing


def compiling_models(config: RunConfig) -> list[str]:
    """Return the names of the models whose training or sampling compiles blocks on a GPU."""
    return [name for name, model in config.models.items() if _compiles(model)]


def _compiles(model: ModelConfigs) -> bool:
    trains = model.training.compile_blocks and model.training.device != "cpu"
    return trains or model.sampling.compile_blocks


def check_compiler(run: Run) -> None:
    """Refuse a run whose models could not be compiled on this machine, before its first stage.

    Only this machine is known: nothing is checked if the run works on a cluster, or the machine
    has no GPU.

    Raises: InputError if what is left of the run needs a compiler, and it is missing.
    """
    if os.environ.get("RAY_ADDRESS") or not torch.cuda.is_available():
        return
    compiling = set(compiling_models(run.config))
    unfinished = [
        model
        for model, method, step in run.checkpoints()
        if model in compiling and not _is_trained(run, model, method, step)
    ]
    missing = missing_tools(os.environ) if unfinished else []
    if missing:
        raise InputError(
            f"models.{unfinished[0]} compiles its blocks (compile_blocks), which needs "
            f"{' and '.join(missing)}, found none; {REMEDY}; or set "
            f"models.{unfinished[0]}.training.compile_blocks=false"
        )


def _is_trained(run: Run, model: str, method: str, step: int) -> bool:
    place = checkpoint_directory(run.training_directory(model, method), step)
    return bool(run.store.exists(f"{place}/{STATE_FILE}"))
