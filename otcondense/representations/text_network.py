"""The text encoders of transformers: which class of the library a model is loaded with."""

from typing import Any

import torch

from otcondense.errors import InputError

TEXT_HALVES = {
    "t5": "T5EncoderModel",
    "mt5": "MT5EncoderModel",
    "umt5": "UMT5EncoderModel",
    "clip": "CLIPTextModel",
    "clip_text_model": "CLIPTextModel",
    "siglip": "SiglipTextModel",
    "siglip_text_model": "SiglipTextModel",
}
"""Class with the text encoder alone, by the `model_type` of config.json; every other model without
a decoder is loaded whole."""
WANTED = (
    "text.model must be a text encoder on the hub (T5, CLIP, BERT or their like), or its local "
    "folder with .safetensors weights"
)


def load_text_network(name: str, max_tokens: int) -> tuple[Any, Any]:
    """Return the tokenizer and the network in float32.

    Only .safetensors files are read, and no code that comes with a model is run.

    Args:
        name: repository on the hub, or a local folder.
        max_tokens: tokens of an embedding.

    Raises: InputError if transformers is not installed, the model is neither a local folder nor can
        be downloaded, is no text encoder, or has fewer positions than `max_tokens`.
    """
    try:
        import transformers
    except ImportError as error:
        raise InputError(
            "text embeddings need the package transformers; install otcondense[text]"
        ) from error
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        network = _network(transformers, name)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{WANTED}, found {name} ({reason}); "
            "download it on a machine with a network and set its folder"
        ) from error
    _check_positions(network, name, max_tokens)
    return tokenizer, network


def _network(library: Any, name: str) -> Any:
    config = library.AutoConfig.from_pretrained(name, trust_remote_code=False)
    half = TEXT_HALVES.get(config.model_type)
    if half is None and getattr(config, "is_encoder_decoder", False):
        raise InputError(f"{WANTED}, found {name}, a {config.model_type} with a decoder")
    loader = library.AutoModel if half is None else getattr(library, half)
    return loader.from_pretrained(
        name, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
    )


def _check_positions(network: Any, name: str, max_tokens: int) -> None:
    positions = getattr(network.config, "max_position_embeddings", None)
    if positions is not None and max_tokens > positions:
        raise InputError(
            f"text.max_tokens must be at most {positions}, the positions of {name}, "
            f"found {max_tokens}"
        )
