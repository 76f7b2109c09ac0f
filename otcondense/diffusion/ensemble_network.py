"""Many networks of one shape as one: the weights of all lie in one tensor for each parameter.

`torch.func.vmap` turns each operation of the network into one on all models. Two operations are
replaced by equal ones that a GPU does in one piece: the convolution of the patches, which would
become a convolution in groups, and the attention, whose fused kernels have no rule for every device
and would be called once a model.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, vmap
from torch.nn import functional

from otcondense.diffusion.model import Attention, PatchEmbedder, Transformer, apply

Stacked = Mapping[str, Tensor]
"""Tensors of several models by the name in the model, each [models, ...]."""


def stacked(tables: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the tensors of several models with the same names and shapes, stacked [models, ...].

    They are copies without gradients.
    """
    return {name: torch.stack([each[name].detach() for each in tables]) for name in tables[0]}


def per_model(table: Stacked, model: int) -> dict[str, Tensor]:
    """Return the tensors of one model; they share the memory of the stacked ones."""
    return {name: values[model] for name, values in table.items()}


class StackedNetwork:
    """Networks of one shape with weights of their own.

    It is called with the images of all models one after another: those of the first model, those of
    the second, and so on, as a whole or several times in a row (with and without class).
    """

    def __init__(self, model: Transformer, weights: Stacked, batch_size: int) -> None:
        """Take over the weights.

        Args:
            model: one of the models; its buffers are those of all.
            weights: trained or averaged weights.
            batch_size: images of each model.
        """
        self.weights = weights
        self.num_classes = model.num_classes
        self.batch_size = batch_size
        self._buffers = dict(model.named_buffers())
        self._template = _template(model)
        self._all = vmap(self._one)

    @property
    def num_models(self) -> int:
        """Number of models."""
        return len(next(iter(self.weights.values())))

    def __call__(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """Return the raw output [r * m * b, k, h, w] of m models with b images each, r times.

        Args:
            x: noisy images [r * m * b, c, h, w].
            t: timesteps [r * m * b].
            labels: class indices [r * m * b].
        """
        split = [self._by_model(values) for values in (x, t, labels)]
        out: Tensor = self._all(dict(self.weights), *split)
        parts = out.reshape(self.num_models, -1, self.batch_size, *out.shape[2:])
        return parts.transpose(0, 1).flatten(0, 2)

    def _by_model(self, values: Tensor) -> Tensor:
        """Return values [r * m * b, ...] as [m, r * b, ...]."""
        parts = values.view(-1, self.num_models, self.batch_size, *values.shape[1:])
        return parts.transpose(0, 1).flatten(1, 2)

    def _one(self, weights: dict[str, Tensor], x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        out: Tensor = functional_call(self._template, {**weights, **self._buffers}, (x, t, labels))
        return out


def _template(model: Transformer) -> Transformer:
    """Return a network of the shape of `model` without weights, with the replaced operations."""
    assert model.text_embedder is None, "an ensemble has no text"
    assert model.projector is None, "an ensemble aligns no tokens"
    found = deepcopy(model).to("meta")
    with torch.device("meta"):
        found.x_embedder = _PatchProduct(model)
        for block in found.blocks:
            block.attn = _FoldedAttention(model.size.width, model.size.num_heads)
    return found.eval()


class _PatchProduct(PatchEmbedder):
    """The linear map of each patch as a matrix product."""

    def __init__(self, model: Transformer) -> None:
        super().__init__(model.patch_size, model.image_shape[0], model.size.width)
        self._side = model.patch_size

    def forward(self, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        p = self._side
        cut = x.reshape(n, channels, height // p, p, width // p, p).permute(0, 2, 4, 1, 3, 5)
        patches = cut.reshape(n, -1, channels * p * p)  # (N, T, C * p * p)
        return functional.linear(patches, self.proj.weight.flatten(1), self.proj.bias)


class _FoldedAttention(Attention):
    """Attention whose models count as images: one call of the fused kernel for all of them."""

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        joined = apply(self.qkv, x).reshape(n, tokens, 3, self.num_heads, -1)
        q, k, v = joined.permute(2, 0, 3, 1, 4)
        out: Tensor = _Folded.apply(q, k, v)
        return apply(self.proj, out.transpose(1, 2).reshape(n, tokens, width))


class _Folded(torch.autograd.Function):
    """`scaled_dot_product_attention` with a rule of its own for `vmap`.

    Gradients are recorded inside the rule, so that no backward pass is written here.
    """

    @staticmethod
    def forward(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(q, k, v)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Keep nothing."""

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int, int, int], q: Tensor, k: Tensor, v: Tensor
    ) -> tuple[Tensor, int]:
        """Return the attention of all models, and the dimension of the models in it."""
        q, k, v = (
            values.movedim(dim, 0).flatten(0, 1)
            for values, dim in zip((q, k, v), in_dims, strict=True)
        )
        out = functional.scaled_dot_product_attention(q, k, v)
        return out.view(info.batch_size, -1, *out.shape[1:]), 0
