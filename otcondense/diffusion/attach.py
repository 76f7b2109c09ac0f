"""What may be attached to the backbone: a projector to align its tokens, and an embedder of text."""

from dataclasses import dataclass

import torch
from jaxtyping import Float16
from torch import Tensor, nn

from otcondense.diffusion.alignment import build_projector
from otcondense.diffusion.model import Transformer
from otcondense.diffusion.random_streams import ATTACH, generator
from otcondense.diffusion.text import TextEmbedder
from otcondense.diffusion.training_config import TrainingConfig

SMALL = 0.02


@dataclass(frozen=True)
class Attachments:
    """What attached parts are made for."""

    text: Float16[Tensor, "classes t d"] | None = None
    """Masked text embeddings of every class."""
    token_width: int | None = None
    """Width of the tokens to align with."""


def attach(model: Transformer, config: TrainingConfig, parts: Attachments) -> Transformer:
    """Add to `model` what the configuration asks for, with weights drawn from its seed."""
    source = generator(
        config.seed, ATTACH
    )  # a stream of its own: the backbone's weights are the same with and without
    if config.alignment is not None:
        assert parts.token_width is not None
        model.projector = build_projector(model.size.width, parts.token_width, config.alignment)
        model.aligned_depth = config.alignment.depth
        _draw(model.projector, source, std=None)
    if config.text:
        assert parts.text is not None
        model.text_embedder = TextEmbedder(parts.text, model.size.width)
        _draw(model.text_embedder, source, std=SMALL)
    if config.compat == "authors":
        nn.init.normal_(model.y_embedder.embedding_table.weight, generator=source)
    return model


def _draw(module: nn.Module, source: torch.Generator, std: float | None) -> None:
    """Draw weights from a normal distribution, or Xavier's where no standard deviation is given; biases are 0."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv1d):
            if std is None:
                nn.init.xavier_uniform_(part.weight, generator=source)
            else:
                nn.init.normal_(part.weight, std=std, generator=source)
            assert part.bias is not None
            nn.init.zeros_(part.bias)


def stored_attachments(tensors: dict[str, Tensor]) -> Attachments:
    """Return what the attached parts of a stored model were made for."""
    table, last = tensors.get("text_embedder.table"), tensors.get("projector.4.bias")
    return Attachments(None if table is None else table[:-1], None if last is None else len(last))
