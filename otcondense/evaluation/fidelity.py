"""torch-fidelity's metrics on any encoder, without downloads, caches, worker processes or output."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import Dataset

from otcondense.evaluation.encoding import EncodedImages, ImageEncoder, encode_padded
from otcondense.evaluation.settings import EvaluationConfig

FEATURES, LOGITS = "features", "logits"
_numbers = itertools.count()


class ImageTensorDataset(Dataset[Tensor]):
    """Images as the `Dataset` of single uint8 tensors that torch-fidelity takes; it refuses a bare tensor."""

    def __init__(self, images: UInt8[Tensor, "n c h w"]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> UInt8[Tensor, "c h w"]:
        return self.images[index]


def fidelity_metrics(
    samples: UInt8[Tensor, "n c h w"], held_out: UInt8[Tensor, "m c h w"], encoder: ImageEncoder, config: EvaluationConfig
) -> tuple[dict[str, float], EncodedImages, EncodedImages]:
    """Return torch-fidelity's FID, Inception Score, KID, precision and recall, and what the encoder gave for both sets.

    Each image passes the encoder once. KID subsets are never larger than the smaller set.
    """
    import torch_fidelity

    seen: list[EncodedImages] = []
    with _registered(encoder, config.batch_size, seen) as name:
        raw = torch_fidelity.calculate_metrics(
            input1=ImageTensorDataset(samples),  # generated first: precision and recall swap with the order
            input2=ImageTensorDataset(held_out),
            feature_extractor=name,
            isc=True,
            fid=True,
            kid=True,
            prc=True,
            isc_splits=config.inception_score_splits,
            samples_shuffle=config.shuffle,
            kid_subsets=config.kid_subsets,
            kid_subset_size=min(config.kid_subset_size, len(samples), len(held_out)),
            prc_neighborhood=config.neighbours,
            batch_size=config.batch_size,
            rng_seed=config.seed,
            cuda=False,  # the encoder itself knows its device
            save_cpu_ram=True,  # no worker processes, and distances in blocks
            cache=False,
            datasets_download=False,
            verbose=False,
        )
    features, logits = torch.cat([each.features for each in seen]), torch.cat([each.logits for each in seen])
    assert len(features) == len(samples) + len(held_out)
    cut = len(samples)
    return _renamed(raw), EncodedImages(features[:cut], logits[:cut]), EncodedImages(features[cut:], logits[cut:])


def _renamed(raw: dict[str, float]) -> dict[str, float]:
    return {
        "fid": raw["frechet_inception_distance"],
        "kid": raw["kernel_inception_distance_mean"],
        "kid_std": raw["kernel_inception_distance_std"],
        "inception_score": raw["inception_score_mean"],
        "inception_score_std": raw["inception_score_std"],
        "precision": raw["precision"],
        "recall": raw["recall"],
    }


@contextmanager
def _registered(encoder: ImageEncoder, batch_size: int, seen: list[EncodedImages]) -> Iterator[str]:
    """Give torch-fidelity the encoder under a name of its own, and take it back: its registry refuses a name twice."""
    from torch_fidelity import register_feature_extractor
    from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

    name = f"otcondense-{next(_numbers)}"
    register_feature_extractor(name, _extractor_class(encoder, batch_size, seen))
    try:
        yield name
    finally:
        del FEATURE_EXTRACTORS_REGISTRY[name]


def _extractor_class(encoder: ImageEncoder, batch_size: int, seen: list[EncodedImages]) -> type:
    """Wrap the encoder; it is no submodule, so that torch-fidelity neither moves nor freezes the caller's module."""
    from torch_fidelity import FeatureExtractorBase

    class Extractor(FeatureExtractorBase):  # type: ignore[misc]
        def __init__(self, name: str, features_list: list[str], **_: Any) -> None:
            super().__init__(name, features_list)

        @staticmethod
        def get_provided_features_list() -> tuple[str, ...]:
            return FEATURES, LOGITS

        @staticmethod
        def get_default_feature_layer_for_metric(metric: str) -> str:
            return LOGITS if metric == "isc" else FEATURES

        @staticmethod
        def can_be_compiled() -> bool:
            return False

        def forward(self, images: Tensor) -> tuple[Tensor, ...]:
            encoded = encode_padded(images, encoder, batch_size)
            seen.append(encoded)
            return tuple(getattr(encoded, layer) for layer in self.features_list)  # its order comes from a set

    return Extractor
