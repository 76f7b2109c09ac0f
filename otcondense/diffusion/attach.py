"""Optional parts of the model: a projector that aligns its tokens, and an embedder of text."""

from dataclasses import dataclass

import torch
from jaxtyping import Float16
from torch import Tensor, nn

from otcondense.diffusion.alignment import build_projector
from otcondense.diffusion.model import Transformer
from otcondense.diffusion.random_streams import ATTACH, generator
from otcondense.diffusion.text import CaptionEmbedder, PooledText, TextEmbedder
from otcondense.diffusion.training_config import TrainingConfig

TEXT_STD = 0.02
"""Standard deviation of the initial weights of the text embedder, as for DiT's embedders."""
AUTHORS = "authors"
"""Value of `compat` that follows the released trainers."""


@dataclass(frozen=True)
class Attachments:
    """The text and the token width that the attached parts are built for."""

    text: Float16[Tensor, "classes t d"] | None = None
    """Masked text embeddings of every class."""
    token_width: int | None = None
    """Width of the tokens to align with."""
    no_caption: Float16[Tensor, "words e"] | None = None
    """Embedding of no caption, for a model of captions."""


def attach(model: Transformer, config: TrainingConfig, parts: Attachments) -> Transformer:
    """Add the configured parts to `model`, with weights drawn from its seed."""
    # A separate stream: the weights of the backbone are the same with and without attached parts.
    source = generator(config.seed, ATTACH)
    if config.alignment is not None:
        assert parts.token_width is not None
        model.projector = build_projector(model.size.width, parts.token_width, config.alignment)
        model.aligned_depth = config.alignment.depth
        _draw(model.projector, source, std=None)
    if config.text:
        model.text_embedder = text_embedder(config, parts, model.size.width)
        _draw(model.text_embedder, source, std=TEXT_STD)
    if config.compat == AUTHORS:
        nn.init.normal_(model.y_embedder.embedding_table.weight, generator=source)
    return model


def text_embedder(config: TrainingConfig, parts: Attachments, width: int) -> PooledText:
    """Return the part of the model that reads text, with weights that are still to be drawn."""
    if config.has_captions:
        assert parts.no_caption is not None
        return CaptionEmbedder(parts.no_caption, width)
    assert parts.text is not None
    return TextEmbedder(parts.text, width)


def _draw(module: nn.Module, source: torch.Generator, std: float | None) -> None:
    """Draw weights from a normal distribution, or from Xavier's if `std` is None; biases are 0."""
    for part in module.modules():
        if not isinstance(part, nn.Linear | nn.Conv1d):
            continue
        if std is None:
            nn.init.xavier_uniform_(part.weight, generator=source)
        else:
            nn.init.normal_(part.weight, std=std, generator=source)
        assert part.bias is not None
        nn.init.zeros_(part.bias)


def stored_attachments(tensors: dict[str, Tensor]) -> Attachments:
    """Return the text and the token width that the parts of a stored model were built for."""
    table = tensors.get("text_embedder.table")
    text = None if table is None else table[:-1]  # the last row is the null class

    last_bias = tensors.get("projector.4.bias")
    token_width = None if last_bias is None else len(last_bias)
    return Attachments(text, token_width, tensors.get("text_embedder.no_caption"))
