"""The trackers that a configuration asks for."""

import importlib.util
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from jobs.run_directory.trackers_config import TrackersConfig
from jobs.trackers.courier import Courier
from jobs.trackers.memory import Memory, memory_file
from jobs.trackers.mlflow_tracker import MlflowTracker
from jobs.trackers.tensorboard_tracker import TensorboardTracker
from jobs.trackers.tracker import Subject, Tracker
from jobs.trackers.wandb_tracker import WandbTracker
from otcondense.errors import InputError
from otcondense.store import Store

LOG = logging.getLogger(__name__)
TITLES: Mapping[str, str] = {"wandb": "W&B", "mlflow": "MLflow", "tensorboard": "TensorBoard"}
"""What users call the trackers."""
OPTIONAL = ("wandb", "mlflow")
"""Trackers whose package is an extra of the same name."""


def require(package: str, setting: str) -> None:
    """Check that an optional package is installed.

    Raises: InputError with the command that installs it.
    """
    if importlib.util.find_spec(package) is None:
        raise InputError(
            f"{setting} needs the package {package}; install it: "
            f"pip install -c constraints.txt 'otcondense[{package}]'"
        )


def usable(config: TrackersConfig, store: Store, folder: str) -> list[str]:
    """Return the trackers that are on and whose packages are there.

    One that showed the run before, and whose package is gone, is left out with a warning.

    Args:
        config: of the trackers.
        store: of the run.
        folder: of their memories.

    Raises: InputError if a package is missing.
    """
    found = []
    for name in config.names:
        try:
            if name in OPTIONAL:
                require(name, f"trackers.{name}")
        except InputError as error:
            if not _was_used(name, store, folder):
                raise
            LOG.warning("%s is left out, the run goes on without it: %s", TITLES[name], error)
            continue
        found.append(name)
    return found


def _was_used(name: str, store: Store, folder: str) -> bool:
    """Tell whether an earlier start showed something in a tracker."""
    return any(file.startswith(f"{folder}/{name}") for file in store.list(folder))


def couriers(names: Sequence[str], config: TrackersConfig, subject: Subject) -> Iterator[Courier]:
    """Show a run in trackers; each goes on where it was shown the run before.

    Args:
        names: as `usable` returns them.
        config: of the trackers.
        subject: the run.
    """
    for name in names:
        memory = Memory(subject.store, memory_file(name))
        known = replace(subject, identity=memory.identity)
        yield Courier(made(name, config), TITLES[name], memory, known)


def made(name: str, config: TrackersConfig) -> Tracker:
    """Return a tracker that is on, not yet started."""
    if name == "wandb" and config.wandb is not None:
        return WandbTracker(config.wandb)
    if name == "mlflow" and config.mlflow is not None:
        return MlflowTracker(config.mlflow)
    assert name == "tensorboard", "every other tracker is one of the configuration"
    return TensorboardTracker()
