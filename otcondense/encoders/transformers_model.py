"""Vision networks of transformers with the interface of a timm model."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from otcondense.encoders.encoder_config import EncoderConfig
from otcondense.errors import InputError
from otcondense.transformers_library import load_library, quiet, reason_of


@dataclass(frozen=True)
class Family:
    """One kind of networks, by the `model_type` of their config.json."""

    network: str
    """Class of transformers with its features."""
    class_token: bool = True
    """Whether the first token stands for the whole image."""
    default: str = "pooler"
    """Pooling unless the configuration names one: what its authors measured it with."""
    projecting: str = ""
    """Class with the projection that texts are compared with; empty for none."""
    interpolates: bool = False
    """Whether its positions must be asked to follow another image size."""


CLIP = Family(
    "CLIPVisionModel",
    default="projected",
    projecting="CLIPVisionModelWithProjection",
    interpolates=True,
)
SIGLIP = Family("SiglipVisionModel", class_token=False, interpolates=True)
FAMILIES = {
    "dinov2": Family("Dinov2Model"),
    "dinov2_with_registers": Family("Dinov2WithRegistersModel"),
    "dinov3_vit": Family("DINOv3ViTModel"),
    "siglip": SIGLIP,
    "siglip_vision_model": SIGLIP,
    "clip": CLIP,
    "clip_vision_model": CLIP,
}
"""Families whose features are known to serve as they come.

DINO's pooler is the class token after the last normalisation (Oquab et al., arXiv:2304.07193, use
it for retrieval). SigLIP's is its attention pooling, which is also its embedding (Zhai et al.,
arXiv:2303.15343); it has no class token. CLIP was trained to compare projected embeddings by their
cosine (Radford et al., arXiv:2103.00020). SigLIP 2 of a fixed size is of the type `siglip`.
"""


class TransformersModel(nn.Module):
    """A network of transformers: images to pooled features; there is no classifier."""

    def __init__(self, net: nn.Module, family: Family, pooling: str) -> None:
        super().__init__()
        self.net = net
        self._family = family
        self._pooling = pooling
        registers = getattr(net.config, "num_register_tokens", 0)
        self._prefix = int(family.class_token) + int(registers)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Return the weights under the names of transformers."""
        return self.net.state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Load weights that have the names of transformers."""
        return self.net.load_state_dict(*args, **kwargs)

    def forward_features(self, images: Float[Tensor, "b 3 h w"]) -> Any:
        """Return the outputs of the network: its tokens, and its own summary of each image."""
        more = {"interpolate_pos_encoding": True} if self._family.interpolates else {}
        return self.net(pixel_values=images, **more)

    def forward_head(self, maps: Any, *, pre_logits: bool = False) -> Float[Tensor, "b d"]:
        """Return the pooled features."""
        assert pre_logits, "there is no classifier"
        tokens: Tensor = maps.last_hidden_state
        if self._pooling == "cls":
            return tokens[:, 0]
        if self._pooling == "mean":
            return tokens[:, self._prefix :].mean(1)
        pooled: Tensor = maps.image_embeds if self._pooling == "projected" else maps.pooler_output
        return pooled


def build_transformers(config: EncoderConfig, *, pretrained: bool) -> TransformersModel:
    """Return a network of transformers with fresh or pretrained weights, in float32.

    Only .safetensors files are read, and no code that comes with a model is run.

    Raises: InputError if the library or the model is missing, its kind is not known here, or its
        weights do not fit it.
    """
    library = load_library(config.name)
    name = config.transformers_name
    with quiet(library), refusing(config.name):
        kind = library.AutoConfig.from_pretrained(name, trust_remote_code=False).model_type
        family = _family(config.name, kind)
        pooling = _pooling(config, family, kind)
        network = getattr(library, family.projecting if pooling == "projected" else family.network)
        if not pretrained:
            settings = network.config_class.from_pretrained(name)
            return TransformersModel(network(settings), family, pooling)
        net, report = network.from_pretrained(
            name,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    wrong = [*report["missing_keys"], *report["mismatched_keys"]]
    if wrong:
        raise InputError(
            f"the weights of {config.name} must fill {family.network}, found no fitting "
            f"{wrong[0]} and {len(wrong) - 1} more; take another pooling, or another model"
        )
    return TransformersModel(net, family, pooling)


def _family(name: str, kind: str) -> Family:
    if kind not in FAMILIES:
        raise InputError(
            f"{name} must be one of {', '.join(FAMILIES)} (model_type in its config.json), found "
            f"{kind}; for another network, name a function of your own (package.module:function)"
        )
    return FAMILIES[kind]


def _pooling(config: EncoderConfig, family: Family, kind: str) -> str:
    """Return the pooling of a network.

    Raises: InputError if it has none of this kind.
    """
    chosen = config.pooling or family.default
    missing = {"cls": not family.class_token, "projected": not family.projecting}
    if missing.get(chosen):
        raise InputError(
            f"pooling={chosen} needs a {'class token' if chosen == 'cls' else 'projection'}, "
            f"which {config.name} ({kind}) does not have; leave pooling out"
        )
    return chosen


@contextmanager
def refusing(name: str) -> Iterator[None]:
    """Turn the library's errors about a model that cannot be loaded into one that names it."""
    try:
        yield
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        if isinstance(error, InputError):
            raise
        raise unusable(name, error) from error


def unusable(name: str, error: Exception) -> InputError:
    """Return the error of a model that cannot be loaded."""
    return InputError(
        f"{name} must be a model on the hub, or a folder with config.json, "
        f"preprocessor_config.json and .safetensors weights, found none that can be loaded "
        f"({reason_of(error)}); run prefetch where there is a network, or name its folder"
    )
