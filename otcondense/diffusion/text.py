"""Conditioning on the text of a class's name beside the class itself, off by default.

Source: the text half of D2C's Attach (arXiv:2507.05914): the masked embeddings of a text go through a convolution over
all of its tokens, and the vector, with a perceptron of itself, is added to the class vector.
"""

import torch
from jaxtyping import Float16, Int
from torch import Tensor, nn


class TextEmbedder(nn.Module):
    """A vector for each class from the text embeddings of its name, which are part of the model; the null class has no text."""

    table: Tensor

    def __init__(self, table: Float16[Tensor, "classes t d"], width: int) -> None:
        super().__init__()
        self.register_buffer(
            "table", torch.cat([table, torch.zeros_like(table[:1])])
        )  # the last row is the null class
        self.conv = nn.Conv1d(table.shape[2], width, kernel_size=table.shape[1])
        self.mlp = nn.Sequential(
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, width),
        )

    def forward(self, labels: Int[Tensor, " n"]) -> Tensor:
        text = self.table[labels].to(self.conv.weight.dtype).transpose(1, 2)  # (N, d, T)
        vector = self.conv(text).squeeze(2)  # (N, D)
        return vector + self.mlp(vector)  # type: ignore[no-any-return]  # (N, D)
