"""The registry of training objectives: facts that configurations read without importing torch.

A new objective needs a class that implements `otcondense.diffusion.objectives.Objective`, an
instance of it at module level, and one line in `OBJECTIVES`.
"""

from dataclasses import dataclass

from otcondense.diffusion.sizes import Family, ModelConfig
from otcondense.errors import InputError

AUTO = "auto"
"""In a configuration: the default of the model family, or of the objective."""
MOST_SHIFT = 100.0
"""Largest shift of timesteps towards noise: that of latents of 40 million values."""
VELOCITY_METHODS = ("heun", "euler", "sde")
"""Sampling methods of every objective that predicts a velocity."""


@dataclass(frozen=True)
class ObjectiveEntry:
    """One objective: where its class is, and the facts that a configuration needs."""

    entry: str
    """`module:name` of the instance; imported when it is first used."""
    family: Family
    """Model family that it was published with; `auto` takes the first objective of the family."""
    methods: tuple[str, ...]
    """Sampling methods that fit its predictions, the default first."""
    preview_method: str
    """Sampling method of the grids that training draws: deterministic, good with few steps."""
    preview_steps: int = 25
    """Steps of the samples in these grids."""
    learns_variance: bool = False
    """Whether the network needs the second half of its output channels (`model.learn_sigma`)."""
    diffusers_prediction: str | None = None
    """`prediction_type` of diffusers' schedulers; None if DiTPipeline cannot sample it."""

    @property
    def default_method(self) -> str:
        """Sampling method that `auto` takes."""
        return self.methods[0]


_OURS = "otcondense.diffusion"

OBJECTIVES: dict[str, ObjectiveEntry] = {
    "sit-linear": ObjectiveEntry(
        f"{_OURS}.velocity_objective:SIT_LINEAR", "SiT", VELOCITY_METHODS, preview_method="heun"
    ),
    "sit-gvp": ObjectiveEntry(
        f"{_OURS}.velocity_objective:SIT_GVP", "SiT", VELOCITY_METHODS, preview_method="heun"
    ),
    "dit": ObjectiveEntry(
        f"{_OURS}.noise_objective:DIT",
        "DiT",
        ("ddpm", "ddim"),
        preview_method="ddim",
        learns_variance=True,
        diffusers_prediction="epsilon",
    ),
}
"""Every objective by its name in configurations and checkpoints."""


def objective_entry(name: str) -> ObjectiveEntry:
    """Return the registered facts of an objective.

    Raises: InputError for an unknown name.
    """
    if name not in OBJECTIVES:
        raise InputError(
            f"objective must be one of {AUTO}, {', '.join(OBJECTIVES)}; found {name!r}"
        )
    return OBJECTIVES[name]


def default_objective(family: Family) -> str:
    """Return the name of the objective that `auto` takes for a model family."""
    return next(name for name, entry in OBJECTIVES.items() if entry.family == family)


def resolve_objective(name: str, model: ModelConfig) -> str:
    """Return the registered name of the objective; `auto` takes the model family's default.

    Raises: InputError for an unknown name, or an objective that the model cannot be trained with.
    """
    chosen = default_objective(model.size.family) if name == AUTO else name
    if objective_entry(chosen).learns_variance and not model.learn_sigma:
        raise InputError(
            f"objective {chosen} learns the variance and needs model.learn_sigma=true, found false"
        )
    return chosen


def check_noise_shift(shift: float, objective: str) -> None:
    """Refuse shifted timesteps where the objective has a schedule of its own.

    Raises: InputError naming the objectives whose timesteps can be shifted.
    """
    if shift != 1 and objective_entry(objective).methods != VELOCITY_METHODS:
        fitting = [name for name, entry in OBJECTIVES.items() if entry.methods == VELOCITY_METHODS]
        raise InputError(
            f"noise_shift needs objective {' or '.join(fitting)}, found noise_shift {shift} with "
            f"objective {objective}; set noise_shift=1"
        )


def sampling_methods() -> tuple[str, ...]:
    """Return the sampling methods of all objectives, each once, in the order of the registry."""
    names: dict[str, None] = {}
    for entry in OBJECTIVES.values():
        names |= dict.fromkeys(entry.methods)
    return tuple(names)
