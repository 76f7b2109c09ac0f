"""One training step: no loop, no files, no workers."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Float16, Int
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from otcondense.diffusion.alignment import alignment_losses
from otcondense.diffusion.attach import AUTHORS, Attachments, attach
from otcondense.diffusion.data import Moments, TrainingSet, rows
from otcondense.diffusion.model import Transformer, build_model, compile_blocks
from otcondense.diffusion.objectives import Objective, load_objective
from otcondense.diffusion.random_streams import DrawConfig, Draws, batch_indices, draw, moved
from otcondense.diffusion.registry import resolve_objective
from otcondense.diffusion.text import CaptionEmbedder
from otcondense.diffusion.training_config import TrainingConfig

__all__ = [
    "Batch",
    "TrainState",
    "TrainingConfig",
    "batch_loss",
    "create_state",
    "learning_rate",
    "make_batch",
    "train_step",
]

NOTHING = Attachments()


@dataclass(frozen=True)
class Batch:
    """One worker's share of a global batch, or a part of the share."""

    x: Float[Tensor, "b c h w"]
    """Images in [-1, 1], or latents."""
    labels: Int[Tensor, " b"]
    draws: Draws
    tokens: Float[Tensor, "b t d"] | None = None
    """Targets of the alignment of the model's tokens."""
    weights: Float[Tensor, " b"] | None = None
    """Weight of each image in the loss; None is 1."""
    captions: Float16[Tensor, "b words e"] | None = None
    """Embeddings of the captions, none of them dropped."""


@dataclass
class TrainState:
    """Everything that training changes."""

    config: TrainingConfig
    model: Transformer
    ema: Transformer
    optimizer: torch.optim.AdamW
    network: Transformer | DistributedDataParallel
    """`model`, or the data-parallel wrapper around it."""
    step: int = 0
    """Number of finished steps."""
    ensemble_size: int = 1
    """The most models that have been trained at once with this one; 1 for a training by itself."""

    @cached_property
    def weights(self) -> list[Tensor]:
        """The trained weights; walking through all modules for them takes milliseconds."""
        return list(self.model.parameters())

    @cached_property
    def averages(self) -> list[Tensor]:
        """The averaged weights, in the order of `weights`."""
        return list(self.ema.parameters())

    @property
    def objective(self) -> Objective:
        """The configured loss."""
        return load_objective(resolve_objective(self.config.objective, self.config.model))


def create_state(
    config: TrainingConfig,
    num_classes: int,
    image_shape: tuple[int, int, int],
    device: str = "cpu",
    parts: Attachments = NOTHING,
) -> TrainState:
    """Return the state before the first step."""
    backbone = build_model(config.model, num_classes, image_shape, config.seed)
    model = attach(backbone, config, parts).to(device)
    ema = deepcopy(model).requires_grad_(requires_grad=False).eval()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    if config.compile_blocks:
        compile_blocks(model)
    return TrainState(config, model, ema, optimizer, model)


def make_batch(
    config: TrainingConfig, step: int, data: TrainingSet, share: tuple[int, int] = (0, 1)
) -> Batch:
    """Return one of the equal parts of the global batch of `step`.

    Args:
        config: batch size, seed, drop and flip.
        step: number of finished steps.
        data: the training data.
        share: index of the part, and the number of parts: workers times `accumulation`.
    """
    part, parts = share
    size = config.global_batch_size // parts
    chosen = slice(part * size, (part + 1) * size)
    device = data.labels.device

    first = step * config.global_batch_size
    positions = range(first + chosen.start, first + chosen.stop)
    indices = moved(batch_indices(config.seed, data.num_images, positions), device)

    settings = DrawConfig(
        config.seed,
        config.global_batch_size,
        config.label_drop,
        config.flip,
        data.source.image_shape,
        posterior=isinstance(data.source, Moments) and data.source.draws,
        independent=config.compat == AUTHORS,
        noise_shift=config.noise_shift,
    )
    draws = draw(settings, step, chosen, device=str(device))

    tokens = None
    if config.alignment is not None:
        assert data.tokens is not None
        flip = draws.flip if draws.token_flip is None else draws.token_flip
        tokens = rows(data.tokens, indices, flip).to(device, non_blocking=True).float()
    weights = None
    if config.weighting == "manifest":
        assert data.weights is not None
        weights = data.weights[indices]
    captions = None
    if config.has_captions:
        assert data.captions is not None
        upright = torch.zeros_like(draws.flip)
        captions = rows(data.captions, indices, upright).to(device, non_blocking=True)
    x, labels = data.source.take(indices, draws), data.labels[indices]
    return Batch(x, labels, draws, tokens, weights, captions)


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Return the learning rate of the step after `step` finished ones."""
    rate = config.learning_rate * min(1.0, (step + 1) / max(1, config.warmup_steps))
    if config.decay_steps is None or step < config.warmup_steps:
        return rate
    past = min(1.0, (step - config.warmup_steps) / (config.decay_steps - config.warmup_steps))
    if config.decay == "linear":
        return rate * (1 - past)
    return rate * ((1 + math.cos(math.pi * past)) / 2)


class _Network:
    """The network as objectives call it; it also keeps the projected tokens."""

    def __init__(self, state: TrainState, text: Tensor | None) -> None:
        self._network = state.network
        self._text = text
        self.projected: Tensor | None = None

    def __call__(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        out: Tensor | tuple[Tensor, Tensor] = self._network(x, t, labels, self._text)
        if isinstance(out, Tensor):
            return out
        out, self.projected = out
        return out


def batch_losses(state: TrainState, batch: Batch) -> dict[str, Float[Tensor, ""]]:
    """Return the means over the batch of the whole `loss`, and of `alignment` if it is part of it.

    Dropped labels are replaced by the null class. The losses of the images are multiplied by their
    weights.
    """
    draws = batch.draws
    null = state.model.num_classes
    labels = torch.where(draws.drop, null, batch.labels)
    network = _Network(state, _text_of(state, batch))
    rounded = state.config.precision == "bfloat16"
    with torch.autocast(batch.x.device.type, dtype=torch.bfloat16, enabled=rounded):
        losses = state.objective.losses(network, batch.x, draws.noise, draws.uniform, labels)
        loss = _weighted_mean(losses, batch.weights)
    if state.config.alignment is None:
        return {"loss": loss}
    assert network.projected is not None
    assert batch.tokens is not None
    aligned = _weighted_mean(alignment_losses(network.projected, batch.tokens), batch.weights)
    return {"loss": loss + state.config.alignment.coefficient * aligned, "alignment": aligned}


def _text_of(state: TrainState, batch: Batch) -> Tensor | None:
    """Return what the model's text embedder gets: captions, classes of names, or nothing."""
    drop = batch.draws.text_drop
    if batch.captions is not None:
        embedder = state.model.text_embedder
        assert isinstance(embedder, CaptionEmbedder)
        return embedder.dropped(batch.captions, batch.draws.drop if drop is None else drop)
    return None if drop is None else torch.where(drop, state.model.num_classes, batch.labels)


def _weighted_mean(
    losses: Float[Tensor, " b"], weights: Float[Tensor, " b"] | None
) -> Float[Tensor, ""]:
    return losses.mean() if weights is None else (losses * weights).mean()


def batch_loss(state: TrainState, batch: Batch) -> Float[Tensor, ""]:
    """Return the mean of the minimised loss over the batch."""
    return batch_losses(state, batch)["loss"]


def train_step(state: TrainState, *parts: Batch) -> dict[str, Float[Tensor, ""]]:
    """Do one optimizer step on a batch, in one or several parts of the same size.

    Returns: metrics as tensors on the device, so that nothing waits for them. They are `loss` and,
        if tokens are aligned, `alignment`, as means over this worker's samples, and `grad_norm`
        before clipping.
    """
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(state.config, state.step)
    state.optimizer.zero_grad(set_to_none=True)
    metrics: dict[str, Tensor] = {}
    for number, part in enumerate(parts, start=1):
        with _gradients_kept(state, apart=number < len(parts)):
            losses = batch_losses(state, part)
            (losses["loss"] / len(parts)).backward()  # type: ignore[no-untyped-call]
        for name, value in losses.items():
            metrics[name] = metrics.get(name, 0) + value.detach() / len(parts)
    limit = float("inf") if state.config.grad_clip is None else state.config.grad_clip
    norm = torch.nn.utils.clip_grad_norm_(state.weights, limit, foreach=True)
    state.optimizer.step()
    update_ema(state)
    state.step += 1
    return {**metrics, "grad_norm": norm.detach()}


@contextmanager
def _gradients_kept(state: TrainState, *, apart: bool) -> Iterator[None]:
    """Keep gradients on this worker while `apart`; with the last part they are averaged."""
    if apart and isinstance(state.network, DistributedDataParallel):
        with state.network.no_sync():
            yield
    else:
        yield


@torch.no_grad()
def update_ema(state: TrainState) -> None:
    """Move the averaged weights towards the current weights, all in one call."""
    torch._foreach_lerp_(state.averages, state.weights, 1 - state.config.ema_decay)
