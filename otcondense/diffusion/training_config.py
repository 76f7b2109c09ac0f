"""The configuration of training, and the part of it that decides the content of a checkpoint."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from otcondense.config import Config, without_defaults
from otcondense.diffusion.alignment_config import AlignmentConfig
from otcondense.diffusion.registry import AUTO, MOST_SHIFT, check_noise_shift, resolve_objective
from otcondense.diffusion.sizes import ModelConfig
from otcondense.representations.text_config import CAPTIONS

SCHEDULING_FIELDS = frozenset(
    {
        "subsets",
        "num_steps",
        "checkpoint_steps",
        "checkpoint_every",
        "keep_last",
        "keep_best",
        "num_workers",
        "accumulation",
        "device",
        "max_failures",
        "log_every",
        "grid_every",
        "compile_blocks",
        "resident_gb",
    }
)
"""Fields that do not change the content of the checkpoint of a given step."""
LATER_FIELDS = frozenset(
    {
        "data",
        "decay",
        "decay_steps",
        "alignment",
        "text",
        "compat",
        "gradient_compression",
        "weighting",
        "noise_shift",
    }
)
"""Fields that are newer than the first checkpoints: left out of the identity at their default."""


class TrainingConfig(Config):
    """How the diffusion model is trained."""

    model: ModelConfig = Field(default_factory=ModelConfig)
    """The backbone."""
    objective: str = AUTO
    """The loss: sit-linear, sit-gvp or dit; auto takes sit-linear for SiT and dit for DiT."""
    noise_shift: float = Field(default=1.0, ge=1, le=MOST_SHIFT)
    """Shift of the timesteps towards noise, for SiT's objectives on latents of many values:
    sqrt(values of a latent / 4096) for AutoencoderRAE, 6.93 for 768 x 16 x 16. 1 does not shift."""
    data: Literal["pixels", "latents"] = "pixels"
    """Input of the model: pixels of the size in `pixels`, or the latents of
    `otcondense extract_latents`."""
    alignment: AlignmentConfig | None = None
    """Align inner tokens with the tokens of `otcondense extract_tokens` (REPA, and D2C's
    Attach); empty turns it off."""
    text: bool | Literal["captions"] = False
    """Condition on the text embeddings of `otcondense extract_text` in addition to the class: true
    takes the name of the class (D2C's Attach), captions the caption of each image (with
    text.of=captions)."""
    compat: Literal["none", "authors"] = "none"
    """authors: follow the released trainers. Text and class are dropped independently, the label
    table starts at standard deviation 1, and tokens are mirrored independently of the image. none
    drops both together and mirrors both together."""
    subsets: tuple[str, ...] = ("geometry_aware", "random")
    """Selection methods to train on, one training run each."""
    weighting: Literal["uniform", "manifest"] = "uniform"
    """Weight of each image in the loss: 1, or the share of its class that it represents (`weight`
    of the subset's manifest, with mean 1 in each class)."""
    num_steps: int = Field(default=2000, ge=1)
    """Number of optimizer steps."""
    checkpoint_steps: tuple[int, ...] = (600,)
    """Steps whose checkpoints are kept for sampling; the last step is always kept."""
    checkpoint_every: int = Field(default=1000, ge=1)
    """Steps between two checkpoints to resume from; when a worker dies, at most this much work is
    lost."""
    keep_last: int = Field(default=2, ge=1)
    """Number of checkpoints to resume from that are kept while the run goes on."""
    keep_best: Literal["none", "loss", "held_out_loss"] = "none"
    """Also keep the best checkpoint, and name it in best.json: the one with the lowest mean loss
    since the checkpoint before it (loss), or with the lowest loss on held-out images, which turns
    up when the model begins to memorise (held_out_loss; for models of pixels)."""
    global_batch_size: int = Field(default=64, ge=1)
    """Images per step over all workers."""
    accumulation: int = Field(default=1, ge=1)
    """Parts that each worker cuts its share of the batch into, for shares that do not fit in
    memory."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """Learning rate of AdamW after the warm-up."""
    warmup_steps: int = Field(default=100, ge=0)
    """Steps over which the learning rate rises linearly."""
    decay: Literal["none", "linear", "cosine"] = "none"
    """How the learning rate falls to 0 after the warm-up; none keeps it."""
    decay_steps: int | None = Field(default=None, ge=1)
    """Step at which a falling learning rate reaches 0. Must be set with decay, so that a longer run
    does not change a shorter one."""
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
    gradient_compression: Literal["auto", "none", "bfloat16"] = "auto"
    """Number format in which workers exchange gradients: bfloat16 halves the bytes. auto takes it
    for several workers on GPUs with precision=bfloat16, whose gradients are mostly rounded
    already."""
    compile_blocks: bool = False
    """Compile the transformer blocks: a minute's start, then fewer and larger GPU kernels."""
    resident_gb: float | None = Field(default=None, ge=0)
    """Largest training data (10^9 bytes) kept on the device; larger data is streamed from a file.
    Empty allows half of the free memory."""
    flip: bool = False
    """Mirror half of the images, chosen at random."""
    num_workers: int | None = Field(default=None, ge=0)
    """Data-parallel workers of Ray Train; must divide the global batch. By default as many as one
    node has GPUs (or CPUs), divide the batch, and leave each at least 16 images; one in a trial
    of a sweep, or none without GPUs. 0 trains in the process that asks for it, without actors."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train: auto takes GPUs if the cluster has any, else CPUs."""
    max_failures: int = Field(default=3, ge=0)
    """How often lost workers are replaced before the run fails."""
    seed: int = Field(default=0, ge=0)
    """Seed of the initial weights, the data order, noise, timesteps and drops."""
    log_every: int = Field(default=50, ge=1)
    """Steps between two lines of the loss curve."""
    grid_every: int | None = Field(default=None, ge=1)
    """Steps between two grids of samples of the averaged model (Heun or DDIM, 25 steps, guidance
    1.5); empty draws none."""

    @field_validator("keep_best", mode="before")
    @classmethod
    def _of_earlier_versions(cls, value: Any) -> Any:
        """Take true for loss and false for none, as stored by earlier versions."""
        if isinstance(value, bool):
            return "loss" if value else "none"
        return value

    @model_validator(mode="after")
    def _check(self) -> "TrainingConfig":
        check_noise_shift(self.noise_shift, resolve_objective(self.objective, self.model))
        self._check_steps()
        self._check_shares()
        self._check_decay()
        if self.has_captions and self.label_drop == 0:
            raise ValueError(
                "text=captions needs label_drop above 0, which trains the model without a caption "
                "for guidance and the held-out loss, found 0"
            )
        depth = self.model.size.depth
        if self.alignment is not None and not 1 <= self.alignment.depth <= depth:
            raise ValueError(
                f"alignment.depth must be among the {depth} blocks of the model, "
                f"found {self.alignment.depth}"
            )
        return self

    def _check_steps(self) -> None:
        late = [step for step in self.checkpoint_steps if not 1 <= step <= self.num_steps]
        if late:
            raise ValueError(
                f"checkpoint_steps must be between 1 and num_steps {self.num_steps}, found {late}"
            )

    def _check_shares(self) -> None:
        if self.global_batch_size % (self.world_size * self.accumulation) == 0:
            return
        parts = f"{self.world_size} workers"
        if self.accumulation > 1:
            parts += f" of {self.accumulation} parts each"
        raise ValueError(
            f"num_workers times accumulation must divide global_batch_size, found {parts} for "
            f"{self.global_batch_size} images; change one of them"
        )

    def _check_decay(self) -> None:
        if (self.decay == "none") != (self.decay_steps is None):
            raise ValueError(
                "decay and decay_steps must be set together, "
                f"found decay={self.decay} with decay_steps={self.decay_steps}"
            )
        if self.decay_steps is not None and self.decay_steps <= self.warmup_steps:
            raise ValueError(
                f"decay_steps must be above warmup_steps {self.warmup_steps}, "
                f"found {self.decay_steps}"
            )

    @property
    def world_size(self) -> int:
        """Number of processes that train, each with its share of the global batch.

        1 while the number of workers is left to the cluster.
        """
        return max(1, self.num_workers or 1)

    @property
    def kept_steps(self) -> tuple[int, ...]:
        """Steps whose checkpoints stay, in rising order."""
        return tuple(sorted({*self.checkpoint_steps, self.num_steps}))

    @property
    def representations(self) -> list[str]:
        """The kinds that the training reads: latents, tokens, both or none."""
        kinds = []
        if self.data == "latents":
            kinds.append("latents")
        if self.alignment is not None:
            kinds.append("tokens")
        return kinds

    @property
    def stored_kinds(self) -> list[str]:
        """The kinds with arrays for each image: latents, tokens, captions, all or none."""
        return [*self.representations, *([CAPTIONS] if self.has_captions else [])]

    @property
    def has_captions(self) -> bool:
        """Whether the model is conditioned on the caption of each image."""
        return self.text == CAPTIONS

    @property
    def extra_inputs(self) -> set[str]:
        """The inputs of the training other than pixels: latents, tokens, text."""
        inputs = set(self.representations)
        if self.text:
            inputs.add("text")
        return inputs

    def identity(self) -> dict[str, Any]:
        """Return the fields that decide the content of a checkpoint: all but scheduling."""
        kept = without_defaults(self, LATER_FIELDS)
        return {name: value for name, value in kept.items() if name not in SCHEDULING_FIELDS}
