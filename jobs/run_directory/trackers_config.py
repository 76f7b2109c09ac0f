"""Settings of trackers: W&B, MLflow and TensorBoard. No result depends on them."""

from typing import Literal

from pydantic import Field, field_validator

from otcondense.config import Config
from otcondense.credentials import has_credentials


class WandbConfig(Config):
    """Weights & Biases; its key is only read from WANDB_API_KEY or ~/.netrc."""

    project: str = Field(default="otcondense", min_length=1)
    """Project that the run belongs to."""
    entity: str | None = None
    """User or team; null takes your own."""
    mode: Literal["online", "offline"] = "offline"
    """offline: files only, which `wandb sync` uploads later; online: upload while the run goes
    on."""
    folder: str | None = None
    """Folder on this machine for its files; null takes logs/ of a run on a local disk, else the
    current folder."""


class MlflowConfig(Config):
    """MLflow; its password is only read from MLFLOW_TRACKING_USERNAME and the like."""

    uri: str | None = None
    """Store or server, such as sqlite:///mlflow.db or https://host; null takes MLFLOW_TRACKING_URI,
    else MLflow's own default, mlflow.db in the current folder."""
    experiment: str = Field(default="otcondense", min_length=1)
    """Experiment that the run belongs to; it is made if there is none of this name."""

    @field_validator("uri")
    @classmethod
    def _refuse_passwords(cls, uri: str | None) -> str | None:
        if uri is not None and has_credentials(uri):
            raise ValueError(
                "must be an address without credentials, found some in it; give them in the "
                "environment instead: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
                "MLFLOW_TRACKING_TOKEN; or the whole address as MLFLOW_TRACKING_URI"
            )
        return uri


class TrackersConfig(Config):
    """Trackers that show runs in other tools; one that fails is given up, and the run goes on."""

    wandb: WandbConfig | None = None
    """Weights & Biases (extra wandb); null is off."""
    mlflow: MlflowConfig | None = None
    """MLflow (extra mlflow); null is off."""
    tensorboard: bool = False
    """Write selection, metrics and grids for TensorBoard too, in logs/tensorboard; trainings always
    write their curves for it."""

    @property
    def names(self) -> tuple[str, ...]:
        """The trackers that are on."""
        return tuple(name for name in TrackersConfig.model_fields if getattr(self, name))
