"""Our model as diffusers' DiTTransformer2DModel, and as a folder that DiTPipeline loads.

diffusers has a timestep and a label embedder in every block, and separate projections for queries,
keys and values. Ours are shared and fused. The conversion to diffusers copies them, and the
conversion back checks that the copies are equal.
"""

from typing import Any

import torch
from torch import Tensor

from otcondense.diffusion.model import NORM_EPS, ModelConfig, Transformer, build_model
from otcondense.diffusion.schedule_constants import BETA_FIRST, BETA_LAST, NUM_TIMESTEPS
from otcondense.errors import InputError
from otcondense.representations.autoencoder import load_autoencoder

PIPELINE_CLASSES = 1000
"""DiTPipeline always uses this label for the null class."""

# Our names of layers, and diffusers' names.
OUTER = {
    "x_embedder.proj": "pos_embed.proj",
    "final_layer.adaLN_modulation.1": "proj_out_1",
    "final_layer.linear": "proj_out_2",
}
SHARED = {
    "t_embedder.mlp.0": "norm1.emb.timestep_embedder.linear_1",
    "t_embedder.mlp.2": "norm1.emb.timestep_embedder.linear_2",
}
INNER = {
    "adaLN_modulation.1": "norm1.linear",
    "attn.proj": "attn1.to_out.0",
    "mlp.fc1": "ff.net.0.proj",
    "mlp.fc2": "ff.net.2",
}
OUR_TABLE = "y_embedder.embedding_table.weight"
THEIR_TABLE = "norm1.emb.class_embedder.embedding_table.weight"
KINDS = ("weight", "bias")
"""Tensors of a layer."""


def to_diffusers_state(state: dict[str, Tensor], depth: int) -> dict[str, Tensor]:
    """Return our weights under diffusers' names."""
    theirs = {}
    for kind in KINDS:
        for ours, name in OUTER.items():
            theirs[f"{name}.{kind}"] = state[f"{ours}.{kind}"]
        for index in range(depth):
            theirs |= _their_block(state, index, kind)
    for index in range(depth):
        theirs[f"transformer_blocks.{index}.{THEIR_TABLE}"] = state[OUR_TABLE]
    return theirs


def _their_block(state: dict[str, Tensor], index: int, kind: str) -> dict[str, Tensor]:
    """Return the weights or biases of one block under diffusers' names."""
    block = f"transformer_blocks.{index}"
    theirs = {}
    for ours, name in SHARED.items():
        theirs[f"{block}.{name}.{kind}"] = state[f"{ours}.{kind}"]
    for ours, name in INNER.items():
        theirs[f"{block}.{name}.{kind}"] = state[f"blocks.{index}.{ours}.{kind}"]
    parts = state[f"blocks.{index}.attn.qkv.{kind}"].chunk(3)
    for letter, part in zip("qkv", parts, strict=True):
        theirs[f"{block}.attn1.to_{letter}.{kind}"] = part
    return theirs


def from_diffusers_state(theirs: dict[str, Tensor], depth: int) -> dict[str, Tensor]:
    """Return diffusers' weights under our names, without the fixed position table.

    Raises: InputError if the embedders of the blocks differ, as they do after training in
    diffusers.
    """
    state = {OUR_TABLE: _shared(theirs, THEIR_TABLE, depth)}
    for kind in KINDS:
        for ours, name in OUTER.items():
            state[f"{ours}.{kind}"] = theirs[f"{name}.{kind}"]
        for ours, name in SHARED.items():
            state[f"{ours}.{kind}"] = _shared(theirs, f"{name}.{kind}", depth)
        for index in range(depth):
            state |= _our_block(theirs, index, kind)
    return state


def _shared(theirs: dict[str, Tensor], name: str, depth: int) -> Tensor:
    """Return the tensor `name` of every block.

    Raises: InputError if it differs from block to block.
    """
    first = theirs[f"transformer_blocks.0.{name}"]
    for index in range(1, depth):
        if not torch.equal(first, theirs[f"transformer_blocks.{index}.{name}"]):
            raise InputError(
                f"{name} must be equal in all blocks to be shared, "
                f"block {index} differs from block 0"
            )
    return first


def _our_block(theirs: dict[str, Tensor], index: int, kind: str) -> dict[str, Tensor]:
    """Return the weights or biases of one block under our names."""
    block = f"transformer_blocks.{index}"
    state = {}
    for ours, name in INNER.items():
        state[f"blocks.{index}.{ours}.{kind}"] = theirs[f"{block}.{name}.{kind}"]
    parts = [theirs[f"{block}.attn1.to_{letter}.{kind}"] for letter in "qkv"]
    state[f"blocks.{index}.attn.qkv.{kind}"] = torch.cat(parts)
    return state


def to_diffusers(model: Transformer) -> Any:
    """Return the model as a DiTTransformer2DModel with equal outputs.

    diffusers uses the timestep frequencies of freq_shift=1. For a model with freq_shift=0 they are
    changed in memory only: diffusers' configuration has no setting for them, so they are lost when
    the model is saved and loaded again.
    """
    import diffusers

    build: Any = diffusers.DiTTransformer2DModel
    channels, side, _ = model.image_shape
    theirs = build(
        num_attention_heads=model.size.num_heads,
        attention_head_dim=model.size.width // model.size.num_heads,
        in_channels=channels,
        out_channels=model.out_channels,
        num_layers=len(model.blocks),
        sample_size=side,
        patch_size=model.patch_size,
        num_embeds_ada_norm=model.num_classes,
        norm_eps=NORM_EPS,
    )
    theirs.load_state_dict(to_diffusers_state(model.state_dict(), len(model.blocks)))
    for block in theirs.transformer_blocks:
        block.norm1.emb.time_proj.downscale_freq_shift = model.t_embedder.freq_shift
    return theirs.eval()


def from_diffusers(theirs: Any) -> Transformer:
    """Return a DiTTransformer2DModel as our model, with equal outputs.

    Raises: InputError if its embedders differ from block to block, or the epsilon of its layer norm
        is not DiT's.
    """
    config = theirs.config
    if config.norm_eps != NORM_EPS:
        raise InputError(
            f"norm_eps of the transformer must be {NORM_EPS} as in DiT, found {config.norm_eps}"
        )
    ours = ModelConfig(
        name=f"DiT-S/{config.patch_size}",
        width=config.num_attention_heads * config.attention_head_dim,
        depth=config.num_layers,
        num_heads=config.num_attention_heads,
        freq_shift=theirs.transformer_blocks[0].norm1.emb.time_proj.downscale_freq_shift,
    )
    model = build_model(
        ours,
        config.num_embeds_ada_norm,
        (config.in_channels, config.sample_size, config.sample_size),
    )
    state = from_diffusers_state(theirs.state_dict(), config.num_layers)
    model.load_state_dict({**state, "pos_embed": model.pos_embed})
    return model.eval()


def export_pipeline(
    model: Transformer,
    autoencoder: str,
    folder: str,
    class_names: dict[int, str] | None = None,
    *,
    prediction_type: str = "epsilon",
) -> None:
    """Write a folder that `diffusers.DiTPipeline.from_pretrained` loads.

    The pipeline guides all channels and ignores the learned variance, so its samples differ from
    the samples of our sampler.

    Args:
        model: a DiT on latents.
        autoencoder: folder or hub name of the autoencoder that decodes them.
        folder: where to write.
        class_names: readable name of each class, by index.
        prediction_type: diffusers' name of the model's prediction.

    Raises: InputError if the pipeline does not support the model.
    """
    import diffusers

    if model.t_embedder.freq_shift != 1:
        raise InputError(
            "DiTPipeline has the timestep frequencies of model.freq_shift=1, found 0; "
            "train with 1 to export"
        )
    if model.num_classes != PIPELINE_CLASSES:
        raise InputError(
            f"DiTPipeline uses class {PIPELINE_CLASSES} for the null class, "
            f"found a model of {model.num_classes} classes; sample it with `otcondense sample`"
        )
    library: Any = diffusers
    scheduler = library.DDIMScheduler(
        num_train_timesteps=NUM_TIMESTEPS,
        beta_start=BETA_FIRST,
        beta_end=BETA_LAST,
        beta_schedule="linear",
        clip_sample=False,
        prediction_type=prediction_type,
    )
    pipeline = library.DiTPipeline(
        to_diffusers(model),
        _decoder(model, autoencoder),
        scheduler,
    )
    pipeline.register_to_config(id2label=class_names)
    pipeline.save_pretrained(folder, safe_serialization=True)


def _decoder(model: Transformer, autoencoder: str) -> Any:
    """Return the autoencoder for the pipeline.

    DiTPipeline divides latents by scaling_factor and takes images from -1 to 1, nothing else.

    Raises: InputError if it is not there, or is not of this kind, or has other latents.
    """
    found = load_autoencoder(autoencoder)
    shift = found.scaling["shift_factor"]
    if found.kind.from_black or shift:
        reason = "images from 0 to 1" if found.kind.from_black else f"shift_factor {shift}"
        raise InputError(
            "DiTPipeline decodes latents / scaling_factor to images from -1 to 1, "
            f"found {found.name} {autoencoder} with {reason}; "
            "sample the model with `otcondense sample`"
        )
    channels, wanted = found.latent_channels, model.image_shape[0]
    if channels != wanted:
        raise InputError(
            f"--autoencoder must decode the model's latents of {wanted} channels, "
            f"found {channels} channels in {autoencoder}"
        )
    return found.model
