"""Settings of the area under the margin."""

from pydantic import Field

from otcondense.config import Config


class MarginConfig(Config):
    """How the classifier is trained while its margins are recorded."""

    epochs: int = Field(default=30, ge=1)
    """Passes over all images; the margins are averaged over them."""
    hidden_width: int = Field(default=256, ge=0)
    """Width of the perceptron's hidden layer; 0 is a linear classifier."""
    batch_size: int = Field(default=256, ge=1)
    """Images per step."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Learning rate of AdamW, with a cosine decay to 0."""
    seed: int = Field(default=0, ge=0)
    """Seed of the initial weights and of the order of images."""
