"""The Ray Data actor that holds an encoder."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from otcondense.encoders import (
    EncoderConfig,
    cross_entropy,
    entropy,
    load_encoder,
    max_prob,
    weights_sha256,
)
from otcondense.errors import InputError

CONFIDENCES = ("cross_entropy", "entropy", "max_prob")


class EncoderActor:
    """Encodes one decoded chunk per call; a batch of the data set holds exactly one chunk."""

    def __init__(self, config: EncoderConfig, sha256: str) -> None:
        torch.set_num_threads(1)
        torch.backends.cudnn.deterministic = True
        if weights_sha256(config) != sha256:
            raise InputError(
                f"the weights {config.weights} of {config.name} changed during the run; run the stage again"
            )
        self.encoder = load_encoder(config)

    def __call__(self, batch: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Replace `images` [1, b, c, h, w] by `features` [1, b, d] and, with a classifier, its logits and confidences."""
        images = torch.from_numpy(np.array(batch["images"][0]))
        features, logits = self.encoder.encode_inputs(images)
        results = {"features": features}
        if logits is not None:
            labels = torch.full((len(images),), int(batch["class_index"][0]), device=logits.device)
            results |= {
                "logits": logits,
                "cross_entropy": cross_entropy(logits, labels),
                "entropy": entropy(logits),
                "max_prob": max_prob(logits),
            }
        kept = {name: batch[name] for name in ("class_index", "chunk", "statuses")}
        return kept | {name: values.cpu().numpy()[None] for name, values in results.items()}
