"""Public DiT and SiT checkpoints: their parameter names are ours, their files are pickles or safetensors.

Source: the names and shapes that facebookresearch/DiT and willisma/SiT publish; time and sign conventions as each
states them (SiT: t = 0 noise; REPA and those derived from it: t = 1 noise).
"""

import pickle
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from otcondense.diffusion.model import MODELS, ModelConfig, Transformer, build_model
from otcondense.diffusion.sizes import Family
from otcondense.errors import InputError

WRAPPER = "module."
"""What DistributedDataParallel puts before each name."""


@dataclass(frozen=True)
class PublicModel:
    """What a public checkpoint does not say of itself."""

    family: Family
    num_heads: int | None = None
    """Attention heads; needed only where width and depth are of no named size."""
    data_first: bool = False
    """Whether time runs from data (0) to noise (1) with velocity noise - data, as in REPA; our SiT runs the other way."""


def read_public(path: str, weights: str = "ema") -> dict[str, Tensor]:
    """Return the tensors of a public checkpoint file.

    Args:
        path: .pt (read without running what it may contain) or .safetensors file.
        weights: which tensors to take where the file holds several sets: `ema` or `model`.

    Raises: InputError if it is missing, damaged or holds no tensors.
    """
    if not Path(path).is_file():
        raise InputError(f"there is no checkpoint file {path}")
    try:
        held: Any = (
            load_file(path)
            if path.endswith(".safetensors")
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise InputError(
            f"{path} must be a checkpoint of tensors alone, found none that can be read ({error})"
        ) from error
    state = held.get(weights, held) if isinstance(held, dict) else held
    if (
        not isinstance(state, dict)
        or not state
        or not all(isinstance(value, Tensor) for value in state.values())
    ):
        raise InputError(
            f"{path} must hold named tensors, directly or under {weights!r}; found {type(state).__name__}"
        )
    return {name.removeprefix(WRAPPER): tensor for name, tensor in state.items()}


def from_public(state: dict[str, Tensor], public: PublicModel) -> tuple[Transformer, ModelConfig]:
    """Return our model with the weights of a public checkpoint, and its configuration.

    Raises: InputError if names or shapes are not those of a DiT or SiT.
    """
    config, num_classes, image_shape = _describe(state, public)
    model = build_model(config, num_classes, image_shape)
    state = reverse_time(state, model) if public.data_first else state
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    wrong = sorted(
        name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)
    )
    if wrong:
        first = wrong[0]
        raise InputError(
            f"the checkpoint must hold the tensors of a {public.family} of width {config.width} and depth {config.depth}; "
            f"{len(wrong)} differ, the first is {first}: expected {wanted.get(first)}, found {found.get(first)}"
        )
    model.load_state_dict(state)
    return model, config


def to_public(model: Transformer) -> dict[str, Tensor]:
    """Return the weights under the names, and in the shapes, of the public checkpoints."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}


def _describe(
    state: dict[str, Tensor], public: PublicModel
) -> tuple[ModelConfig, int, tuple[int, int, int]]:
    needed = (
        "x_embedder.proj.weight",
        "y_embedder.embedding_table.weight",
        "final_layer.linear.weight",
        "pos_embed",
    )
    missing = [name for name in needed if name not in state]
    if missing:
        raise InputError(
            f"a public DiT or SiT checkpoint must hold {', '.join(needed)}; missing: {', '.join(missing)}"
        )
    width, channels, patch, _ = state["x_embedder.proj.weight"].shape
    depth = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
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
    """Return the named size of these dimensions, or any name: the dimensions are given beside it."""
    found = [
        name
        for name, size in MODELS.items()
        if (size.width, size.depth) == (width, depth) and "demo" not in name
    ]
    return found[0].split("-")[1].split("/")[0] if found else "S"


def _named_heads(width: int, depth: int) -> int:
    found = [
        size.num_heads for size in MODELS.values() if (size.width, size.depth) == (width, depth)
    ]
    if not found:
        raise InputError(
            f"num_heads must be given for a model of width {width} and depth {depth}, which is of no named size"
        )
    return found[0]


def reverse_time(state: dict[str, Tensor], model: Transformer) -> dict[str, Tensor]:
    """Return weights whose output at time t is minus that of `state` at 1 - t: velocities of the opposite time.

    cos(f (1 - t)) and sin(f (1 - t)) are combinations of cos(f t) and sin(f t), so that the first layer of the timestep
    embedding takes in the reversal exactly, and the last layer the sign.
    """
    first, last = "t_embedder.mlp.0.weight", "final_layer.linear"
    f = model.t_embedder.frequencies.double()
    of_cos, of_sin = state[first].double().chunk(2, dim=1)
    turned = torch.cat(
        [of_cos * f.cos() + of_sin * f.sin(), of_cos * f.sin() - of_sin * f.cos()], dim=1
    )
    return {
        **state,
        first: turned.to(state[first].dtype),
        **{f"{last}.{kind}": -state[f"{last}.{kind}"] for kind in ("weight", "bias")},
    }
