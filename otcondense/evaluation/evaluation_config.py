"""Settings of the evaluation of samples."""

from typing import Literal

from pydantic import Field, model_validator

from otcondense.config import Config


class EvaluationConfig(Config):
    """How samples are measured against held-out images."""

    network: Literal["judge", "inception"] = "judge"
    """Network of the main metrics: the judge of the run, or the Inception network of FID."""
    inception_weights: str | None = None
    """Local file of torch-fidelity's Inception weights; null fetches them
    (`otcondense prefetch`)."""
    reference: str | None = None
    """Reference file of ADM's evaluator (VIRTUAL_imagenet256_labeled.npz), for metrics by its
    protocol; needs network=inception."""
    reference_half: bool = True
    """Compute precision and recall by ADM's protocol from half-precision distances, as ADM's
    evaluator does."""
    batch_size: int = Field(default=64, ge=1)
    """Images per forward pass of the encoder; the last batch is padded to this size."""
    neighbours: int = Field(default=3, ge=1)
    """k of precision, recall, density and coverage: each ball reaches to the k-th nearest image of
    its own set."""
    inception_score_splits: int = Field(default=10, ge=1)
    """Number of parts of the samples for the Inception Score, which is the mean over the parts."""
    shuffle: bool = True
    """Shuffle the samples (seeded) before they are split; false keeps their order, as ADM's
    evaluator does, and needs samples that are not sorted by class."""
    kid_subsets: int = Field(default=100, ge=1)
    """Number of random subsets that the kernel distance (KID) averages over."""
    kid_subset_size: int = Field(default=1000, ge=2)
    """Images in each of these subsets; at most the size of the smaller set."""
    copy_draws: int = Field(default=10, ge=1)
    """Random draws that bring chosen and held-out images to one size, for the copy share."""
    error_groups: int = Field(default=10, ge=0)
    """Groups of samples that are left out in turn for the standard error of the Fréchet distance;
    0 skips the error."""
    seed: int = Field(default=2020, ge=0)
    """Seed of the shuffle, the subsets of the kernel distance, the draws of the copy share and the
    groups of the standard error."""

    @model_validator(mode="after")
    def _check(self) -> "EvaluationConfig":
        if self.reference is not None and self.network != "inception":
            raise ValueError(
                "reference holds statistics of Inception and needs network=inception, "
                f"found network={self.network}"
            )
        if self.error_groups == 1:
            raise ValueError(
                "error_groups must be 0 or at least 2: without its only group no samples are left, "
                "found 1"
            )
        return self

    @property
    def minimum_images(self) -> int:
        """Fewest images that a set may have."""
        return max(2, self.neighbours + 1)
