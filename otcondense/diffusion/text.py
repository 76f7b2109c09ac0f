"""Conditioning on the text of a class's name in addition to the class; off by default.

Source: the text half of D2C's Attach (arXiv:2507.05914): the masked embeddings of a text go through
a convolution over all of its tokens, and the vector, with a perceptron of itself, is added to the
class vector.
"""

import torch
from jaxtyping import Float16, Int
from torch import Tensor, nn


class TextEmbedder(nn.Module):
    """A vector for each class from the text embeddings of its name.

    The embeddings are part of the model. The null class has no text.
    """

    table: Tensor

    def __init__(self, table: Float16[Tensor, "classes t d"], width: int) -> None:
        super().__init__()
        null_class = torch.zeros_like(table[:1])
        self.register_buffer("table", torch.cat([table, null_class]))
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
        vector: Tensor = self.conv(text).squeeze(2)  # (N, D)
        residual: Tensor = self.mlp(vector)  # (N, D)
        return vector + residual
