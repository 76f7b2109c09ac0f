"""Small networks with random weights, in the files that their libraries read."""

from pathlib import Path

import timm
import torch
from safetensors.torch import save_file

HALVED = (8, 8)
"""Channels of the two blocks of an autoencoder, of which one halves the image."""
UP_AND_DOWN = {
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "block_out_channels": HALVED,
    "norm_num_groups": 4,
}
DEEP = {
    "encoder_block_types": ("ResBlock", "EfficientViTBlock"),
    "decoder_block_types": ("ResBlock", "EfficientViTBlock"),
    "encoder_block_out_channels": HALVED,
    "decoder_block_out_channels": HALVED,
    "encoder_layers_per_block": (1, 1),
    "decoder_layers_per_block": (1, 1),
    "encoder_qkv_multiscales": ((), ()),
    "decoder_qkv_multiscales": ((), ()),
    "attention_head_dim": 8,
    "scaling_factor": 0.4,
}
TINY = {
    "encoder_block_out_channels": HALVED,
    "decoder_block_out_channels": HALVED,
    "num_encoder_blocks": (1, 1),
    "num_decoder_blocks": (1, 1),
}
REPRESENTATION = {
    "encoder_hidden_size": 64,
    "encoder_num_hidden_layers": 1,
    "encoder_input_size": 56,
    "decoder_hidden_size": 16,
    "decoder_num_hidden_layers": 1,
    "decoder_num_attention_heads": 2,
    "decoder_intermediate_size": 16,
    "patch_size": 4,
    "latents_mean": [[[0.5]]] * 64,
    "latents_std": [[[2.0]]] * 64,
}
"""DINOv2's tokens of 14 pixels on 56 x 56: a grid of 4 x 4, decoded to images of 16 x 16."""
AUTOENCODERS: dict[str, dict[str, object]] = {
    "AutoencoderKL": {**UP_AND_DOWN, "latent_channels": 4},
    "AutoencoderDC": {**DEEP, "latent_channels": 4},
    "AutoencoderRAE": REPRESENTATION,
    "AutoencoderTiny": {**TINY, "latent_channels": 4},
    "VQModel": {**UP_AND_DOWN, "latent_channels": 3, "num_vq_embeddings": 16},
}
"""Settings of a small model of each class; all but AutoencoderRAE halve height and width."""


def write_autoencoder(folder: Path, name: str = "AutoencoderKL", **settings: object) -> str:
    """An autoencoder of diffusers with random weights."""
    import diffusers

    torch.manual_seed(0)
    model = getattr(diffusers, name)(**{**AUTOENCODERS[name], **settings})
    model.save_pretrained(folder)
    return str(folder)


def write_timm(path: Path, name: str, **settings: object) -> str:
    """A timm network, by default without a classifier."""
    torch.manual_seed(0)
    save_file(timm.create_model(name, **{"num_classes": 0, **settings}).state_dict(), path)
    return str(path)


def write_t5(folder: Path, words: tuple[str, ...]) -> str:
    """A T5 encoder and a tokenizer that knows some words."""
    return write_text_encoder(folder, words, "t5")


TEXT_ENCODERS: dict[str, tuple[str, str, dict[str, object]]] = {
    "t5": ("T5EncoderModel", "T5Config", {"d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 1}),
    "bert": ("BertModel", "BertConfig", {"hidden_size": 8, "max_position_embeddings": 16}),
    "clip": ("CLIPTextModel", "CLIPTextConfig", {"hidden_size": 8, "max_position_embeddings": 16}),
    "bart": ("BartModel", "BartConfig", {"d_model": 8, "max_position_embeddings": 16}),
}
"""Class and settings of a small model of each kind; the last one has a decoder."""
SMALL = {
    "num_heads": 2,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "pad_token_id": 0,
    "eos_token_id": 0,
}


def write_text_encoder(folder: Path, words: tuple[str, ...], kind: str) -> str:
    """A text encoder of transformers and a tokenizer that knows some words."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    torch.manual_seed(0)
    known = {word: number for number, word in enumerate(("<pad>", "<unk>", *words))}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)
    network, settings, sizes = TEXT_ENCODERS[kind]
    made = getattr(transformers, settings)
    small = {"num_heads": 2} if kind == "t5" else SMALL
    config = made(vocab_size=len(known), **small, **sizes)
    getattr(transformers, network)(config).save_pretrained(folder)
    return str(folder)
