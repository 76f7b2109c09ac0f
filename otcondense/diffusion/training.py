"""One training step: no loop, no files, no workers."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int, UInt8
from pydantic import Field, model_validator
from torch import Tensor

from otcondense.config import Config
from otcondense.diffusion.draws import DrawConfig, Draws, batch_indices, draw
from otcondense.diffusion.images import to_unit_range
from otcondense.diffusion.model import Transformer, build_model
from otcondense.diffusion.objectives import OBJECTIVES, Network, Objective, resolve_objective
from otcondense.diffusion.sizes import ModelConfig

# Fields that change where, how often or how far is computed, but not what a checkpoint of a given step holds.
SCHEDULING_FIELDS = frozenset(
    {"subsets", "num_steps", "checkpoint_steps", "checkpoint_every", "num_workers", "device", "max_failures", "log_every"}
)


class TrainingConfig(Config):
    """How the diffusion model is trained."""

    model: ModelConfig = Field(default_factory=ModelConfig)
    """The backbone."""
    objective: Literal["auto", "sit-linear", "sit-gvp", "dit"] = "auto"
    """The loss: auto takes the model family's own, sit-linear for SiT and dit for DiT."""
    subsets: tuple[str, ...] = ("geometry_aware", "random")
    """Selection methods to train on, one training run each."""
    num_steps: int = Field(default=2000, ge=1)
    """Number of optimizer steps."""
    checkpoint_steps: tuple[int, ...] = (600,)
    """Steps whose checkpoints are kept for sampling; the last step is always kept."""
    checkpoint_every: int = Field(default=1000, ge=1)
    """A checkpoint to resume from after this many steps; at most this much work is lost when a worker dies."""
    global_batch_size: int = Field(default=64, ge=1)
    """Images per step over all workers."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """Learning rate of AdamW, constant after the warm-up."""
    warmup_steps: int = Field(default=100, ge=0)
    """Steps over which the learning rate rises linearly."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Weight decay of AdamW."""
    ema_decay: float = Field(default=0.995, ge=0, lt=1)
    """Share of the averaged weights that is kept at each step."""
    label_drop: float = Field(default=0.1, ge=0, lt=1)
    """Share of samples that train the null class, which guidance needs."""
    grad_clip: float | None = Field(default=1.0, gt=0)
    """Largest norm of the gradient; empty does not clip."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the network; bfloat16 is autocast, the weights stay float32."""
    flip: bool = False
    """Mirror half of the images, chosen at random."""
    num_workers: int = Field(default=2, ge=1)
    """Data-parallel workers; must divide the global batch."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train: auto takes GPUs if the cluster has one for every worker."""
    max_failures: int = Field(default=3, ge=0)
    """How often lost workers are replaced before the run gives up."""
    seed: int = Field(default=0, ge=0)
    """Seed of the initial weights, the data order, noise, timesteps and drops."""
    log_every: int = Field(default=50, ge=1)
    """Steps between two lines of the loss curve."""

    @model_validator(mode="after")
    def _check(self) -> "TrainingConfig":
        resolve_objective(self.objective, self.model)
        late = [step for step in self.checkpoint_steps if not 1 <= step <= self.num_steps]
        if late:
            raise ValueError(f"checkpoint_steps must lie between 1 and num_steps {self.num_steps}, found {late}")
        if self.global_batch_size % self.num_workers:
            raise ValueError(
                f"num_workers must divide global_batch_size, found {self.num_workers} workers for {self.global_batch_size} images; "
                "change one of them"
            )
        return self

    @property
    def kept_steps(self) -> tuple[int, ...]:
        """Steps whose checkpoints stay, in rising order."""
        return tuple(sorted({*self.checkpoint_steps, self.num_steps}))

    def identity(self) -> dict[str, Any]:
        """Return what decides the content of a checkpoint: every field but those of scheduling."""
        return self.model_dump(mode="json", exclude=set(SCHEDULING_FIELDS))


@dataclass(frozen=True)
class Batch:
    """One worker's share of a global batch."""

    x: Float[Tensor, "b c h w"]
    """Images in [-1, 1]."""
    labels: Int[Tensor, " b"]
    draws: Draws


@dataclass
class TrainState:
    """All that training changes."""

    config: TrainingConfig
    model: Transformer
    ema: Transformer
    optimizer: torch.optim.AdamW
    network: Network
    """`model`, or the data-parallel wrapper around it."""
    step: int = 0
    """Number of finished steps."""

    @property
    def objective(self) -> Objective:
        """The loss that the configuration names."""
        return OBJECTIVES[resolve_objective(self.config.objective, self.config.model)]


def create_state(config: TrainingConfig, num_classes: int, image_shape: tuple[int, int, int], device: str = "cpu") -> TrainState:
    """Return the state before the first step."""
    model = build_model(config.model, num_classes, image_shape, config.seed).to(device)
    ema = deepcopy(model).requires_grad_(requires_grad=False).eval()
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)
    return TrainState(config, model, ema, optimizer, model)


def make_batch(
    config: TrainingConfig, step: int, images: UInt8[Tensor, "n c h w"], labels: Int[Tensor, " n"], share: tuple[int, int] = (0, 1)
) -> Batch:
    """Return the part of the global batch of `step` that falls to one worker.

    Args:
        config: batch size, seed, drop and flip.
        step: number of finished steps.
        images: all training images, where they are to be computed with.
        labels: class index of each.
        share: rank of the worker and number of workers.
    """
    rank, world_size = share
    size = config.global_batch_size // world_size
    rows = slice(rank * size, (rank + 1) * size)
    first = step * config.global_batch_size
    indices = batch_indices(config.seed, len(images), range(first + rows.start, first + rows.stop)).to(images.device)
    shape = (images.shape[1], images.shape[2], images.shape[3])
    settings = DrawConfig(config.seed, config.global_batch_size, config.label_drop, config.flip, shape)
    draws = draw(settings, step, rows, device=str(images.device))
    x = to_unit_range(images[indices])
    return Batch(torch.where(draws.flip.view(-1, 1, 1, 1), x.flip(-1), x), labels[indices], draws)


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Return the learning rate of the step after `step` finished ones."""
    return config.learning_rate * min(1.0, (step + 1) / max(1, config.warmup_steps))


def batch_loss(state: TrainState, batch: Batch) -> Float[Tensor, ""]:
    """Return the mean loss over the batch, with the dropped labels replaced by the null class."""
    labels = torch.where(batch.draws.drop, state.model.num_classes, batch.labels)
    with torch.autocast(batch.x.device.type, dtype=torch.bfloat16, enabled=state.config.precision == "bfloat16"):
        return state.objective.losses(state.network, batch.x, batch.draws.noise, batch.draws.uniform, labels).mean()


def train_step(state: TrainState, batch: Batch) -> dict[str, Float[Tensor, ""]]:
    """Do one optimizer step and return its metrics as tensors on the device, so that nothing waits for it.

    Returns: `loss`, the mean over this worker's samples, and `grad_norm` before clipping.
    """
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(state.config, state.step)
    loss = batch_loss(state, batch)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    limit = float("inf") if state.config.grad_clip is None else state.config.grad_clip
    norm = torch.nn.utils.clip_grad_norm_(state.model.parameters(), limit, foreach=True)
    state.optimizer.step()
    update_ema(state)
    state.step += 1
    return {"loss": loss.detach(), "grad_norm": norm.detach()}


@torch.no_grad()
def update_ema(state: TrainState) -> None:
    """Move the averaged weights towards the current ones, all in one call."""
    torch._foreach_lerp_(list(state.ema.parameters()), list(state.model.parameters()), 1 - state.config.ema_decay)
