"""Our model as diffusers' DiTTransformer2DModel, and as a folder that DiTPipeline.from_pretrained loads.

diffusers keeps a timestep and a label embedder in every block and separate projections for queries, keys and values;
ours are shared and fused, so that a conversion there copies, and one back checks that the copies are equal.
"""

from typing import Any

import torch
from torch import Tensor

from otcondense.diffusion.model import ModelConfig, Transformer, build_model
from otcondense.diffusion.schedule_constants import BETA_FIRST, BETA_LAST, NUM_TIMESTEPS
from otcondense.errors import InputError

PIPELINE_CLASSES = 1000
"""DiTPipeline takes this label for the null class, whatever the model."""
NORM_EPS = 1e-6

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
TABLE = ("y_embedder.embedding_table.weight", "norm1.emb.class_embedder.embedding_table.weight")
KINDS = ("weight", "bias")


def to_diffusers_state(state: dict[str, Tensor], depth: int) -> dict[str, Tensor]:
    """Return our weights under diffusers' names."""
    theirs = {
        f"{name}.{kind}": state[f"{ours}.{kind}"] for ours, name in OUTER.items() for kind in KINDS
    }
    for index in range(depth):
        block = f"transformer_blocks.{index}"
        theirs[f"{block}.{TABLE[1]}"] = state[TABLE[0]]
        for kind in KINDS:
            theirs |= {
                f"{block}.{name}.{kind}": state[f"{ours}.{kind}"] for ours, name in SHARED.items()
            }
            theirs |= {
                f"{block}.{name}.{kind}": state[f"blocks.{index}.{ours}.{kind}"]
                for ours, name in INNER.items()
            }
            parts = state[f"blocks.{index}.attn.qkv.{kind}"].chunk(3)
            theirs |= {
                f"{block}.attn1.to_{letter}.{kind}": part
                for letter, part in zip("qkv", parts, strict=True)
            }
    return theirs


def from_diffusers_state(theirs: dict[str, Tensor], depth: int) -> dict[str, Tensor]:
    """Return diffusers' weights under our names, the fixed position table left out.

    Raises: InputError if the embedders of the blocks differ, as they do after training in diffusers.
    """
    first = "transformer_blocks.0"
    state = {
        f"{ours}.{kind}": theirs[f"{name}.{kind}"] for ours, name in OUTER.items() for kind in KINDS
    }
    copies = {TABLE[0]: TABLE[1]} | {
        f"{ours}.{kind}": f"{name}.{kind}" for ours, name in SHARED.items() for kind in KINDS
    }
    for ours, name in copies.items():
        state[ours] = theirs[f"{first}.{name}"]
        for index in range(1, depth):
            if not torch.equal(state[ours], theirs[f"transformer_blocks.{index}.{name}"]):
                raise InputError(
                    f"{name} must be equal in all blocks to be shared, block {index} differs from block 0"
                )
    for index in range(depth):
        block = f"transformer_blocks.{index}"
        for kind in KINDS:
            state |= {
                f"blocks.{index}.{ours}.{kind}": theirs[f"{block}.{name}.{kind}"]
                for ours, name in INNER.items()
            }
            parts = [theirs[f"{block}.attn1.to_{letter}.{kind}"] for letter in "qkv"]
            state[f"blocks.{index}.attn.qkv.{kind}"] = torch.cat(parts)
    return state


def to_diffusers(model: Transformer) -> Any:
    """Return the model as a DiTTransformer2DModel with equal outputs.

    diffusers' timestep frequencies are those of freq_shift=1. Those of a model with freq_shift=0 are set in memory; they
    are no part of diffusers' configuration, so that saving and loading it again would bring back the others.
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

    Raises: InputError if its embedders differ from block to block, or its layer norm has another epsilon than DiT's.
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

    The pipeline guides all channels and ignores the learned variance, so that its samples are not those of our sampler.

    Args:
        model: a DiT on latents.
        autoencoder: folder or hub name of the AutoencoderKL that decodes them.
        folder: where to write.
        class_names: readable name of each class, by index.
        prediction_type: diffusers' name of the model's prediction.

    Raises: InputError if the pipeline cannot hold the model.
    """
    import diffusers

    if model.t_embedder.freq_shift != 1:
        raise InputError(
            "DiTPipeline has the timestep frequencies of model.freq_shift=1, found 0; train with 1 to export"
        )
    if model.num_classes != PIPELINE_CLASSES:
        raise InputError(
            f"DiTPipeline takes class {PIPELINE_CLASSES} for the null class, found a model of {model.num_classes} classes; sample it with "
            "`python -m jobs.sample`"
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
        library.AutoencoderKL.from_pretrained(autoencoder, use_safetensors=True),
        scheduler,
    )
    pipeline.register_to_config(id2label=class_names)
    pipeline.save_pretrained(folder, safe_serialization=True)
