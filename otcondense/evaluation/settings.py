"""Settings of the evaluation of samples."""

from typing import Literal

from pydantic import Field, model_validator

from otcondense.config import Config


class EvaluationConfig(Config):
    """How samples are measured against held-out images."""

    network: Literal["judge", "inception"] = "judge"
    """Which network figures are made with: the run's judge, or the Inception network of FID."""
    inception_weights: str | None = None
    """Local file of torch-fidelity's Inception weights; null fetches them (`python -m jobs.prefetch`)."""
    reference: str | None = None
    """Reference file of ADM's evaluator (VIRTUAL_imagenet256_labeled.npz), for figures by its protocol as well; needs network=inception."""
    reference_half: bool = True
    """Precision and recall by ADM's protocol from distances in half precision, as its own evaluator has them."""
    batch_size: int = Field(default=64, ge=1)
    """Images that the encoder sees at a time; the last batch is padded to this size."""
    neighbours: int = Field(default=3, ge=1)
    """k of precision, recall, density and coverage: a ball reaches to the k-th nearest image of its own set."""
    inception_score_splits: int = Field(default=10, ge=1)
    """Parts that the samples are cut into for the Inception Score; its mean over them is reported."""
    shuffle: bool = True
    """Shuffle the samples (seeded) before that cut; false takes them in order, as ADM's evaluator does, and needs unsorted samples."""
    kid_subsets: int = Field(default=100, ge=1)
    """Random subsets that the kernel distance (KID) is averaged over."""
    kid_subset_size: int = Field(default=1000, ge=2)
    """Images in each of these subsets; the size of the smaller set where that has fewer."""
    copy_draws: int = Field(default=10, ge=1)
    """Random draws that bring chosen and held-out images to one size, for the copy share."""
    error_groups: int = Field(default=10, ge=0)
    """Groups of samples that are left out in turn for the standard error of the Fréchet distance; 0 leaves the error out."""
    seed: int = Field(default=2020, ge=0)
    """Seed of the shuffle, of the kernel distance's subsets, of the copy share's draws and of the error's groups."""

    @model_validator(mode="after")
    def _check(self) -> "EvaluationConfig":
        if self.reference is not None and self.network != "inception":
            raise ValueError(
                f"reference needs network=inception, whose statistics it holds; found network={self.network}"
            )
        if self.error_groups == 1:
            raise ValueError(
                "error_groups must be 0 or at least 2: one group left out leaves nothing, found 1"
            )
        return self

    @property
    def minimum_images(self) -> int:
        """Fewest images that a set may have."""
        return max(2, self.neighbours + 1)
