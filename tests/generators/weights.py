"""Small networks with random weights, in the files that their libraries read."""

from pathlib import Path

import timm
import torch
from safetensors.torch import save_file


def write_autoencoder(folder: Path) -> str:
    """An AutoencoderKL that halves height and width, with 4 latent channels."""
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    blocks = {
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "block_out_channels": (8, 8),
    }
    AutoencoderKL(**blocks, norm_num_groups=4, latent_channels=4).save_pretrained(folder)
    return str(folder)


def write_timm(path: Path, name: str, **settings: object) -> str:
    """A timm network, by default without a classifier."""
    torch.manual_seed(0)
    save_file(timm.create_model(name, **{"num_classes": 0, **settings}).state_dict(), path)
    return str(path)


def write_t5(folder: Path, words: tuple[str, ...]) -> str:
    """A T5 encoder and a tokenizer that knows some words."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    torch.manual_seed(0)
    known = {word: number for number, word in enumerate(("<pad>", "<unk>", *words))}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)
    config = transformers.T5Config(
        vocab_size=len(known), d_model=8, d_kv=4, d_ff=16, num_layers=1, num_heads=2
    )
    transformers.T5EncoderModel(config).save_pretrained(folder)
    return str(folder)
