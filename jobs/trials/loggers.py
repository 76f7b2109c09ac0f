"""Where a sweep logs: TensorBoard always, Weights & Biases and MLflow where they are installed."""

import importlib.util
from typing import Any

from jobs.trials.config import SweepConfig
from otcondense.errors import InputError


def log_callbacks(config: SweepConfig) -> list[Any]:
    """Return Ray Tune's loggers.

    Raises: InputError if a package is missing.
    """
    from ray.tune.logger import TBXLoggerCallback

    return [TBXLoggerCallback(), *(_callback(name, config.name) for name in config.loggers)]


def require(package: str, what: str) -> None:
    """Refuse to go on without an optional package.

    Raises: InputError saying how to install it.
    """
    if importlib.util.find_spec(package) is None:
        raise InputError(
            f"{what} needs the package {package}; install it: pip install -c constraints.txt 'otcondense[{package}]'"
        )


def _callback(name: str, project: str) -> Any:
    require(name, f"loggers: {name}")
    if name == "wandb":
        from ray.air.integrations.wandb import WandbLoggerCallback

        return WandbLoggerCallback(project=project)
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    return MLflowLoggerCallback(experiment_name=project)
