"""Public DiT and SiT checkpoints; their parameter names are ours.

Source: the names and shapes of facebookresearch/DiT and willisma/SiT, and the time and sign
conventions of each project (SiT: t = 0 noise; REPA and its derivatives: t = 1 noise).
"""

from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from otcondense.diffusion.model import MODELS, ModelConfig, Transformer, build_model
from otcondense.diffusion.sizes import LETTERS, Family
from otcondense.errors import InputError
from otcondense.fetched import load_pickled
from otcondense.near_names import near_path
from otcondense.reading import open_regular
from otcondense.tensor_names import misfit, shapes_of

WRAPPER = "module."
"""Prefix of every name in the state of a DistributedDataParallel model."""
DESCRIBING = {
    "x_embedder.proj.weight": 4,
    "y_embedder.embedding_table.weight": 2,
    "final_layer.linear.weight": 2,
    "pos_embed": 3,
}
"""Tensors whose shapes describe the model, with their number of dimensions."""


DEEPEST = 200
"""Blocks of a model; the largest named size has 28."""


@dataclass(frozen=True)
class PublicModel:
    """Facts about a public checkpoint that its file does not state."""

    family: Family
    num_heads: int | None = None
    """Attention heads; needed only if no named size has its width and depth."""
    data_first: bool = False
    """Whether time runs from data (0) to noise (1) with velocity noise - data, as in REPA.

    Time runs the other way in our SiT.
    """


def read_public(path: str, weights: str = "ema") -> dict[str, Tensor]:
    """Return the tensors of a public checkpoint file.

    Args:
        path: .pt file (read without running code in it) or .safetensors file.
        weights: the set to read, `ema` or `model`, if the file has several.

    Raises: InputError if it is missing, damaged or without tensors.
    """
    if not Path(path).exists():
        raise InputError(f"checkpoint file {path} does not exist{near_path(Path(path))}")
    stored = _load(path)
    state = stored.get(weights, stored) if isinstance(stored, dict) else stored
    if not _is_named_tensors(state):
        raise InputError(
            f"{path} must have named tensors, directly or under {weights!r}; "
            f"found {type(state).__name__}"
        )
    return {name.removeprefix(WRAPPER): tensor for name, tensor in state.items()}


def _load(path: str) -> Any:
    problem = f"{path} must be a checkpoint with only tensors, but cannot be read"
    if not path.endswith(".safetensors"):
        return load_pickled(path, problem)
    try:
        open_regular(path).close()
        return load_file(path)
    except (SafetensorError, RuntimeError, ValueError, OSError) as error:
        raise InputError(f"{problem}: {error}") from error


def _is_named_tensors(state: Any) -> bool:
    if not isinstance(state, dict) or not state:
        return False
    is_named = all(isinstance(name, str) for name in state)
    return is_named and all(isinstance(value, Tensor) for value in state.values())


def from_public(state: dict[str, Tensor], public: PublicModel) -> tuple[Transformer, ModelConfig]:
    """Return our model with the weights of a public checkpoint, and its configuration.

    Raises: InputError if names or shapes are not those of a DiT or SiT.
    """
    config, num_classes, image_shape = _describe(state, public)
    # Names alone can describe a huge model: one without memory tells which tensors there must be.
    with torch.device("meta"):
        shapes = Transformer(config.size, config, num_classes, image_shape).state_dict()
    difference = misfit(shapes_of(shapes), shapes_of(state))
    if difference is not None:
        raise InputError(
            f"the checkpoint must have the tensors of a {public.family} of width {config.width} "
            f"and depth {config.depth}; {difference}"
        )
    model = build_model(config, num_classes, image_shape)
    model.load_state_dict(reverse_time(state, model) if public.data_first else state)
    return model, config


def to_public(model: Transformer) -> dict[str, Tensor]:
    """Return the weights under the names, and in the shapes, of the public checkpoints."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}


def _describe(
    state: dict[str, Tensor], public: PublicModel
) -> tuple[ModelConfig, int, tuple[int, int, int]]:
    """Return model configuration, number of classes and input shape, from the tensors' shapes."""
    missing = [name for name in DESCRIBING if name not in state]
    if missing:
        raise InputError(
            f"a public DiT or SiT checkpoint must have {', '.join(DESCRIBING)}; "
            f"missing: {', '.join(missing)}"
        )
    for name, dimensions in DESCRIBING.items():
        if state[name].ndim != dimensions or 0 in state[name].shape:
            raise InputError(
                f"{name} of a public DiT or SiT checkpoint must have {dimensions} dimensions, "
                f"found {tuple(state[name].shape)}"
            )
    width, channels, patch, _ = state["x_embedder.proj.weight"].shape
    depth = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    if not 0 < depth <= DEEPEST:
        raise InputError(
            f"a public DiT or SiT checkpoint must have 1 to {DEEPEST} blocks, found {depth}"
        )
    side = isqrt(state["pos_embed"].shape[1]) * patch
    config = ModelConfig(
        name=f"{public.family}-{_letter(width, depth)}/{patch}",
        width=width,
        depth=depth,
        num_heads=public.num_heads or _named_heads(width, depth),
        learn_sigma=len(state["final_layer.linear.weight"]) == 2 * channels * patch**2,
    )
    return config, len(state["y_embedder.embedding_table.weight"]) - 1, (channels, side, side)


def _letter(width: int, depth: int) -> str:
    """Return the letter of the named size with these dimensions.

    Without one any letter serves, since the configuration also states the dimensions.
    """
    for letter, (named_width, named_depth, _) in LETTERS.items():
        if (named_width, named_depth) == (width, depth):
            return letter
    return "S"


def _named_heads(width: int, depth: int) -> int:
    for size in MODELS.values():
        if (size.width, size.depth) == (width, depth):
            return size.num_heads
    raise InputError(
        f"num_heads must be given for a model of width {width} and depth {depth}: "
        "no named size has these dimensions"
    )


def reverse_time(state: dict[str, Tensor], model: Transformer) -> dict[str, Tensor]:
    """Return weights for the opposite direction of time.

    Their output at time t is minus the output of `state` at 1 - t. cos(f (1 - t)) and sin(f (1 -
    t)) are combinations of cos(f t) and sin(f t). So the first layer of the timestep embedding
    absorbs the reversal exactly, and the last layer the sign.
    """
    first = "t_embedder.mlp.0.weight"
    last = "final_layer.linear"
    f = model.t_embedder.frequencies.double()
    of_cos, of_sin = state[first].double().chunk(2, dim=1)
    new_cos = of_cos * f.cos() + of_sin * f.sin()
    new_sin = of_cos * f.sin() - of_sin * f.cos()
    return {
        **state,
        first: torch.cat([new_cos, new_sin], dim=1).to(state[first].dtype),
        f"{last}.weight": -state[f"{last}.weight"],
        f"{last}.bias": -state[f"{last}.bias"],
    }
