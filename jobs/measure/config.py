"""Settings of `otcondense measure`."""

from pydantic import Field, model_validator

from jobs.run_directory.encoder_rules import check_others
from otcondense.config import Config
from otcondense.encoders import EncoderConfig
from otcondense.evaluation import EvaluationConfig


class MeasureConfig(Config):
    """Which images to measure, against which images, and through which networks."""

    samples: str
    """Images to measure: an .npz file (arr_0), a folder, or Parquet."""
    against: str | None = None
    """Real images that no model has seen, in any of these forms; null computes only the metrics
    against `evaluation.reference`."""
    training: str | None = None
    """Images that the model was trained on, for the metrics of copying."""
    size: int | None = Field(default=None, ge=8)
    """Height and width that image files are scaled to cover and cut out of, from their centre. By
    default, sets of one size are taken as they are, and photos of different sizes get the size of
    the samples if these have one, else 256."""
    cache: str | None = None
    """Directory to keep features in, so that measuring again with other settings needs no forward
    pass."""
    judge: EncoderConfig | None = None
    """Network of the main metrics; null takes the Inception network of FID."""
    judges: dict[str, EncoderConfig] = Field(default_factory=dict)
    """Further networks; each key prefixes the names of its metrics: with dinov2,
    dinov2.frechet_distance is FD-DINOv2."""
    evaluation: EvaluationConfig = EvaluationConfig(network="inception")
    """Settings of the metrics; network follows from judge."""

    @model_validator(mode="before")
    @classmethod
    def _choose_network(cls, values: object) -> object:
        if isinstance(values, dict) and isinstance(values.get("evaluation", {}), dict):
            network = "inception" if values.get("judge") is None else "judge"
            return {**values, "evaluation": {"network": network, **values.get("evaluation", {})}}
        return values

    @model_validator(mode="after")
    def _check(self) -> "MeasureConfig":
        named = {} if self.judge is None else {"judge": self.judge}
        check_others(named | {f"judges.{name}": each for name, each in self.judges.items()})
        if self.against is None and self.evaluation.reference is None:
            raise ValueError(
                "against or evaluation.reference must be set: without them there is nothing to "
                "compare the samples with"
            )
        if (self.judge is None) == (self.evaluation.network == "judge"):
            raise ValueError(
                "judge must be set with evaluation.network=judge, and null with "
                "evaluation.network=inception"
            )
        if self.against is None and (self.training is not None or self.judges):
            raise ValueError(
                "training and judges need against: their metrics compare the samples with real "
                "images"
            )
        return self
