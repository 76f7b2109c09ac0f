"""Settings of the evaluation of samples."""

from pydantic import Field

from otcondense.config import Config


class EvaluationConfig(Config):
    """How samples are measured against held-out images."""

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
    seed: int = Field(default=2020, ge=0)
    """Seed of the shuffle, of the kernel distance's subsets and of the copy share's draws."""

    @property
    def minimum_images(self) -> int:
        """Fewest images that a set may have."""
        return max(2, self.neighbours + 1)
