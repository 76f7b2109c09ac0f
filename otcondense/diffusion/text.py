"""Conditioning on text in addition to the class: on its name, or on a caption; off by default.

Source: the text half of D2C's Attach (arXiv:2507.05914): the masked embeddings of a text go through
a convolution over all of its tokens, and the vector, with a perceptron of itself, is added to the
class vector.
"""

import torch
from jaxtyping import Float, Float16, Int
from torch import Tensor, nn


class PooledText(nn.Module):
    """A vector of each text from the embeddings of its tokens, which are 0 at padding."""

    def __init__(self, tokens: int, channels: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, width, kernel_size=tokens)
        self.mlp = nn.Sequential(
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, width),
        )

    def pooled(self, text: Float16[Tensor, "n t d"]) -> Float[Tensor, "n width"]:
        """Return the vector of each text."""
        channels_first = text.to(self.conv.weight.dtype).transpose(1, 2)  # (N, d, T)
        vector: Tensor = self.conv(channels_first).squeeze(2)  # (N, D)
        residual: Tensor = self.mlp(vector)  # (N, D)
        return vector + residual


class TextEmbedder(PooledText):
    """A vector for each class from the text embeddings of its name.

    The embeddings are part of the model. The null class has no text.
    """

    table: Tensor

    def __init__(self, table: Float16[Tensor, "classes t d"], width: int) -> None:
        super().__init__(table.shape[1], table.shape[2], width)
        null_class = torch.zeros_like(table[:1])
        self.register_buffer("table", torch.cat([table, null_class]))

    def forward(
        self, labels: Int[Tensor, " n"], text: Int[Tensor, " n"] | None = None
    ) -> Float[Tensor, "n width"]:
        """Return the vector of each class of `text`; those of `labels` without it."""
        return self.pooled(self.table[labels if text is None else text])


class CaptionEmbedder(PooledText):
    """A vector of each caption.

    The captions come with each batch. The embedding of no caption is part of the model, the others
    are not.
    """

    no_caption: Tensor

    def __init__(self, no_caption: Float16[Tensor, "t d"], width: int) -> None:
        super().__init__(no_caption.shape[0], no_caption.shape[1], width)
        self.register_buffer("no_caption", no_caption.clone())

    def forward(
        self, labels: Int[Tensor, " n"], text: Float16[Tensor, "n t d"] | None = None
    ) -> Float[Tensor, "n width"]:
        """Return the vector of each caption `text`; that of no caption without it."""
        return self.pooled(self.none(len(labels)) if text is None else text)

    def none(self, count: int) -> Float16[Tensor, "n t d"]:
        """Return the embedding of no caption `count` times, without a copy."""
        return self.no_caption.expand(count, -1, -1)

    def dropped(self, text: Float16[Tensor, "n t d"], drop: Tensor) -> Float16[Tensor, "n t d"]:
        """Return the captions, no caption where `drop` [n] says so."""
        return torch.where(drop.view(-1, 1, 1), self.no_caption, text)
