"""Folders of tiny vision models of transformers, with random weights: the real classes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers
from transformers import (
    BitImageProcessor,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    Dinov2Config,
    Dinov2Model,
    DINOv3ViTConfig,
    DINOv3ViTImageProcessor,
    DINOv3ViTModel,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    SiglipVisionConfig,
    SiglipVisionModel,
)

WIDTH, PROJECTED, SIDE = 32, 24, 32
SMALL: dict[str, Any] = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
IMAGES = {**SMALL, "image_size": SIDE, "patch_size": 8}
TEXTS = {**SMALL, "vocab_size": 50, "bos_token_id": 0, "eos_token_id": 1}
WORDS = [
    "a",
    "grey",
    "dog",
    "cat",
    "it",
    "sleeps",
    "drawing",
    "of",
    "the",
    "red",
    "blue",
    "green",
    "square",
]
"""Words that the tokenizers know; they spell no other word, so that it is unknown."""
SQUARE = {"height": SIDE, "width": SIDE}


def _cropped(kind: Any) -> Any:
    return kind(size={"shortest_edge": SIDE + 8}, crop_size=SQUARE)


def _dinov2() -> tuple[Any, Any]:
    sizes = {name: value for name, value in IMAGES.items() if name != "intermediate_size"}
    return Dinov2Model(Dinov2Config(**sizes)), _cropped(BitImageProcessor)


def _dinov3() -> tuple[Any, Any]:
    config = DINOv3ViTConfig(**IMAGES, num_register_tokens=4)
    return DINOv3ViTModel(config), DINOv3ViTImageProcessor(size=SQUARE)


def _siglip() -> tuple[Any, Any]:
    config = SiglipConfig(vision_config=IMAGES, text_config=TEXTS)
    return SiglipModel(config), SiglipImageProcessor(size=SQUARE)


def _siglip_vision() -> tuple[Any, Any]:
    return SiglipVisionModel(SiglipVisionConfig(**IMAGES)), SiglipImageProcessor(size=SQUARE)


def _clip() -> tuple[Any, Any]:
    config = CLIPConfig(
        vision_config={**IMAGES, "projection_dim": PROJECTED},
        text_config={**TEXTS, "projection_dim": PROJECTED},
        projection_dim=PROJECTED,
    )
    return CLIPModel(config), _cropped(CLIPImageProcessor)


def _clip_vision() -> tuple[Any, Any]:
    config = CLIPVisionConfig(**IMAGES, projection_dim=PROJECTED)
    return CLIPVisionModelWithProjection(config), _cropped(CLIPImageProcessor)


KINDS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "dinov2": _dinov2,
    "dinov3": _dinov3,
    "siglip": _siglip,
    "siglip_vision": _siglip_vision,
    "clip": _clip,
    "clip_vision": _clip_vision,
}
"""Makes a model and its image processor, by kind."""


def write_model(folder: Path, kind: str) -> str:
    """Write a model and its processor below `folder`; return the name of its encoder."""
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.manual_seed(0)
    model, processor = KINDS[kind]()
    model.save_pretrained(folder / kind)
    processor.save_pretrained(folder / kind)
    if hasattr(model, "text_model"):
        _tokenizer(LONGEST).save_pretrained(folder / kind)
    return f"transformers:{folder / kind}"


LONGEST = 16
"""Tokens of a text."""


def _tokenizer(length: int) -> Any:
    """Return a tokenizer of whole words that marks the beginning and the end of a text."""
    special = ["<s>", "</s>", "<pad>", "<unk>"]
    words = {word: number for number, word in enumerate([*special, *WORDS])}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        model_max_length=length,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
    )


def _bert() -> Any:
    return transformers.BertModel(transformers.BertConfig(**SMALL, vocab_size=50))


def _mpnet() -> Any:
    return transformers.MPNetModel(transformers.MPNetConfig(**SMALL, vocab_size=50))


def _t5() -> Any:
    sizes = {"d_model": WIDTH, "d_kv": 8, "num_heads": 2, "num_layers": 1, "d_ff": 32}
    return transformers.T5EncoderModel(transformers.T5Config(**sizes, vocab_size=50))


TEXT_KINDS: dict[str, Callable[[], Any]] = {"bert": _bert, "mpnet": _mpnet, "t5": _t5}
"""Makes a text network, by kind."""


def write_text_model(folder: Path, kind: str) -> str:
    """Write a text network and its tokenizer below `folder`; return the name of its encoder."""
    if kind in KINDS:
        return write_model(folder, kind)
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.manual_seed(0)
    TEXT_KINDS[kind]().save_pretrained(folder / kind)
    _tokenizer(LONGEST).save_pretrained(folder / kind)
    return f"transformers:{folder / kind}"
