"""Text networks of transformers that turn captions into embeddings of one length."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from otcondense.devices import resolve_device
from otcondense.encoders.encoder_config import EncoderConfig
from otcondense.errors import InputError
from otcondense.text_networks import check_text_network, load_text_network

MOST_TOKENS = 256
"""Tokens of a caption that sentence encoders read at most: as many as they were trained with; CLIP
reads 77 and SigLIP 64. Later words of a longer caption do not count."""


@dataclass(frozen=True)
class TextFamily:
    """One kind of text networks, by the `model_type` of their config.json."""

    network: str
    """Class of transformers."""
    is_joint: bool = False
    """Whether the network embeds images and texts in one space."""
    settings: str = ""
    """Part of the configuration that holds the settings of the text network."""
    pads_all: bool = False
    """Whether padding counts as text: it was trained so."""

    def projected(self, net: Any, pooled: Tensor) -> Tensor:
        """Return the embeddings of texts in the space of images, from the pooled states."""
        projection = getattr(net, "text_projection", None)
        embedded: Tensor = pooled if projection is None else projection(pooled)
        return embedded


TEXT_FAMILIES = {
    "clip": TextFamily("CLIPModel", is_joint=True, settings="text_config"),
    "siglip": TextFamily("SiglipModel", is_joint=True, settings="text_config", pads_all=True),
    "bert": TextFamily("BertModel"),
    "distilbert": TextFamily("DistilBertModel"),
    "mpnet": TextFamily("MPNetModel"),
    "roberta": TextFamily("RobertaModel"),
    "xlm-roberta": TextFamily("XLMRobertaModel"),
    "t5": TextFamily("T5EncoderModel"),
}
"""Text networks that are known here.

CLIP's embedding is its projection of the last token (arXiv:2103.00020), SigLIP's the projected last
token of 64 (arXiv:2303.15343). Of all others it is the mean of the last hidden states of a text's
tokens, as sentence encoders have it (Reimers and Gurevych, arXiv:1908.10084).
"""


class CaptionModel:
    """A text network with its tokenizer, in float32."""

    def __init__(
        self, config: EncoderConfig, *, joint: bool = False, assigned: bool | None = None
    ) -> None:
        """Load the network.

        Args:
            config: its name, batch size and device.
            joint: whether it must embed images in the same space.
            assigned: whether the cluster gives this process a GPU; None without a cluster.

        Raises: InputError if the library, the network or its tokenizer is missing, its kind is
            not known here, or there is no GPU for it.
        """
        device = resolve_device(config.device, assigned=assigned)
        self._tokenizer, net = load_text_network(*_network(config, joint=joint), "transformers")
        self._family = caption_family(config.name, net.config.model_type, joint=joint)
        self._device = torch.device(device)
        self._net = net.eval().requires_grad_(requires_grad=False).to(self._device)
        self._batch_size = config.batch_size
        read = getattr(net.config, self._family.settings, net.config)
        self._tokens = _length(self._tokenizer, read)
        self.sha256 = _digest(net, self._tokenizer, self._tokens)

    @property
    def scale(self) -> float:
        """The factor of cosines that a joint network was trained with."""
        assert self._family.is_joint, "only joint networks have one"
        return float(self._net.logit_scale.exp())

    def embed(self, captions: Sequence[str]) -> Float32[np.ndarray, "n d"]:
        """Return the embedding of each caption.

        Batches are padded to one size, since the last digits of a row depend on it.
        """
        parts = []
        for start in range(0, len(captions), self._batch_size):
            batch = list(captions[start : start + self._batch_size])
            padded = [*batch, *[""] * (self._batch_size - len(batch))]
            parts.append(self._batch(padded)[: len(batch)].cpu().numpy())
        return np.concatenate(parts).astype(np.float32)

    @torch.inference_mode()
    def _batch(self, captions: list[str]) -> Float[Tensor, "b d"]:
        encoded = self._tokenizer(
            captions,
            padding="max_length",
            max_length=self._tokens,
            truncation=True,
            return_tensors="pt",
        )
        tokens = encoded["input_ids"].to(self._device)
        mask = encoded.get("attention_mask", torch.ones_like(tokens)).to(self._device)
        inputs = {"input_ids": tokens, "attention_mask": mask}
        if self._family.is_joint:
            return self._joint(inputs)
        states: Tensor = self._net(**inputs).last_hidden_state
        weights = mask[..., None].to(states.dtype)
        mean: Tensor = (states * weights).sum(1) / weights.sum(1).clamp_min(1)
        return mean

    def _joint(self, inputs: dict[str, Tensor]) -> Float[Tensor, "b d"]:
        if self._family.pads_all:
            inputs = {"input_ids": inputs["input_ids"]}
        pooled: Tensor = self._net.text_model(**inputs).pooler_output
        return self._family.projected(self._net, pooled)


def check_caption_model(config: EncoderConfig, *, joint: bool = False) -> None:
    """Check a text network by its settings and its tokenizer, before its weights are needed.

    The arguments are those of `CaptionModel`.

    Raises: InputError as `CaptionModel` does, for what can be known without the weights.
    """
    check_text_network(*_network(config, joint=joint), "transformers")


def _network(config: EncoderConfig, *, joint: bool) -> tuple[str, str, Callable[[Any], str]]:
    """Return name and place of a text network, and what takes its settings to its class."""
    place = config.transformers_name
    assert place is not None, "a text network is one of transformers"

    def class_of(settings: Any) -> str:
        return caption_family(config.name, settings.model_type, joint=joint).network

    return config.name, place, class_of


def caption_family(name: str, kind: str, *, joint: bool) -> TextFamily:
    """Return the kind of a text network.

    Args:
        name: of the network, for a message.
        kind: `model_type` in its config.json.
        joint: whether it must embed images in the same space.

    Raises: InputError if it is not known here.
    """
    known = {each: found for each, found in TEXT_FAMILIES.items() if found.is_joint or not joint}
    if kind not in known:
        what = "images and texts" if joint else "texts"
        raise InputError(
            f"{name} must be a network for {what}, one of {', '.join(known)} (model_type in its "
            f"config.json), found {kind}; take another model"
        )
    return known[kind]


def most_tokens(settings: Any) -> int:
    """Return the tokens that a text network reads at most, by its settings in config.json."""
    positions = getattr(settings, "max_position_embeddings", None)
    if positions is None:
        return MOST_TOKENS
    # RoBERTa's first positions are those of padding.
    return min(MOST_TOKENS, int(positions) - 2 * ("roberta" in settings.model_type))


def _length(tokenizer: Any, settings: Any) -> int:
    """Return the tokens that each caption is padded or cut to."""
    return min(most_tokens(settings), int(tokenizer.model_max_length))


def _digest(net: Any, tokenizer: Any, tokens: int) -> str:
    """Return the SHA-256 of the weights, the words and the length of a network."""
    digest = hashlib.sha256(f"{tokens}".encode())
    for name, tensor in sorted(net.state_dict().items()):
        content = tensor.detach().cpu().flatten().view(torch.uint8)
        digest.update(name.encode() + content.numpy().tobytes())
    for word, number in sorted(tokenizer.get_vocab().items()):
        digest.update(f"{number} {word}\n".encode("utf-8", "backslashreplace"))
    return digest.hexdigest()
