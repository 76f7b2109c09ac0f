"""Loggers of a sweep: TensorBoard always, Weights & Biases and MLflow on request."""

import importlib.util
from typing import Any

from jobs.trials.config import SweepConfig
from otcondense.errors import InputError


def log_callbacks(config: SweepConfig) -> list[Any]:
    """Return Ray Tune's loggers.

    Raises: InputError if a package is missing.
    """
    from ray.tune.logger import TBXLoggerCallback

    tensorboard = TBXLoggerCallback()  # type: ignore[no-untyped-call]
    return [tensorboard, *(_callback(name, config.name) for name in config.loggers)]


def require(package: str, setting: str) -> None:
    """Check that an optional package is installed.

    Raises: InputError with the command that installs it.
    """
    if importlib.util.find_spec(package) is None:
        raise InputError(
            f"{setting} needs the package {package}; install it: "
            f"pip install -c constraints.txt 'otcondense[{package}]'"
        )


def _callback(name: str, project: str) -> Any:
    require(name, f"loggers: {name}")
    if name == "wandb":
        from ray.air.integrations.wandb import WandbLoggerCallback

        return WandbLoggerCallback(project=project)
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    return MLflowLoggerCallback(experiment_name=project)
