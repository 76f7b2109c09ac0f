"""Embeddings of texts, class names or captions, by a text encoder of transformers.

The name of a class depends on the class alone, so in training a table with one row per class
replaces the model. Captions have an embedding for each image.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float16, UInt8
from torch import Tensor

from otcondense.devices import resolve_device
from otcondense.errors import InputError
from otcondense.representations.image_model import tensors_sha256
from otcondense.representations.text_config import TextConfig
from otcondense.text_networks import check_text_network, load_text_network

__all__ = ["TextConfig", "TextModel"]

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
WANTED = "must be a text encoder (T5, CLIP, BERT or their like)"

Embedded = tuple[Float16[np.ndarray, "b t d"], UInt8[np.ndarray, "b t"]]
"""Embeddings of some texts, and their masks."""


class TextModel:
    """A text encoder with its tokenizer, in float32.

    Raises: InputError as `load_text_network` does, or if the model is no text encoder or has fewer
        positions than `max_tokens`.
    """

    def __init__(self, config: TextConfig, *, assigned: bool | None = None) -> None:
        self._device = resolve_device(config.device, assigned=assigned, on_cpu="text.device=cpu")
        self._what = _what(config)
        class_of = partial(_class_of, self._what)
        self._tokenizer, net = load_text_network(self._what, config.model, class_of, "text")
        _check_positions(net.config, config)
        self.sha256 = tensors_sha256(net)
        self._max_tokens = config.max_tokens
        self._model: Any = net.eval().requires_grad_(requires_grad=False).to(self._device)

    def __call__(self, text: str) -> tuple[Float16[np.ndarray, "t d"], UInt8[np.ndarray, " t"]]:
        """Return the last hidden state of each token, and a mask that is 0 for padding.

        Both are padded to `max_tokens`.
        """
        states, mask = self._states([text])
        return states[0].half().cpu().numpy(), mask[0].to(torch.uint8).cpu().numpy()

    def embed(self, texts: Sequence[str], batch_size: int) -> Embedded:
        """Return the embeddings of texts, 0 at padding, and their masks.

        The network gets batches of exactly `batch_size` texts; the last one is filled up with its
        last text.

        Raises: InputError if an embedding is not finite in float16.
        """
        parts = [
            self._batch(texts[start : start + batch_size], batch_size)
            for start in range(0, len(texts), batch_size)
        ]
        embeddings = np.concatenate([states for states, _ in parts])
        is_bad = ~np.isfinite(embeddings).all(axis=(1, 2))
        if is_bad.any():
            raise InputError(
                "text embeddings must be finite in float16, found NaN or infinite values from "
                f"{self._what} for {texts[int(is_bad.argmax())]!r} and {int(is_bad.sum()) - 1} more"
            )
        return embeddings, np.concatenate([mask for _, mask in parts])

    def _batch(self, texts: Sequence[str], batch_size: int) -> Embedded:
        padded = [*texts, *[texts[-1]] * (batch_size - len(texts))]
        states, mask = self._states(padded)
        # A text without any token gives NaN in some encoders; it counts as 0, as padding does.
        kept = torch.where(mask[..., None] > 0, states, 0.0)
        count = len(texts)
        return kept[:count].half().cpu().numpy(), mask[:count].to(torch.uint8).cpu().numpy()

    @torch.inference_mode()
    def _states(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return the last hidden states [b, t, d], and the mask [b, t]."""
        encoded = self._tokenizer(
            list(texts),
            padding="max_length",
            max_length=self._max_tokens,
            truncation=True,
            return_tensors="pt",
        )
        mask = encoded["attention_mask"].to(self._device)
        try:
            output = self._model(
                input_ids=encoded["input_ids"].to(self._device), attention_mask=mask
            )
            states: Tensor = output.last_hidden_state
        except (AttributeError, TypeError) as error:
            raise InputError(
                f"{self._what} {WANTED}, found one that gives no states; take another model"
            ) from error
        return states, mask


def check_text_model(config: TextConfig) -> None:
    """Check a text encoder by its settings and its tokenizer, before its weights are needed.

    Raises: InputError as `TextModel` does, for what can be known without the weights.
    """

    def class_of(settings: Any) -> str:
        _check_positions(settings, config)
        return _class_of(_what(config), settings)

    check_text_network(_what(config), config.model, class_of, "text")


def _what(config: TextConfig) -> str:
    return f"text.model={config.model}"


def _class_of(what: str, settings: Any) -> str:
    half = TEXT_HALVES.get(settings.model_type)
    if half is None and getattr(settings, "is_encoder_decoder", False):
        raise InputError(
            f"{what} {WANTED}, found a {settings.model_type} with a decoder; take another model"
        )
    return half or "AutoModel"


def _check_positions(settings: Any, config: TextConfig) -> None:
    positions = getattr(settings, "max_position_embeddings", None)
    if positions is not None and config.max_tokens > positions:
        raise InputError(
            f"text.max_tokens must be at most {positions}, the positions of {config.model}, "
            f"found {config.max_tokens}"
        )
