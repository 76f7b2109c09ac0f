"""The Ray Data actor that holds an encoder, and the encoded chunk that comes back from it."""

from dataclasses import dataclass
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
from pipeline.chunks import ImageStatus, read_statuses

CONFIDENCES = ("cross_entropy", "entropy", "max_prob")
ARRAYS = ("features", "logits", *CONFIDENCES)


class EncoderActor:
    """Encodes one decoded chunk per call; a batch of the data set holds exactly one chunk."""

    def __init__(self, config: EncoderConfig, expected_sha256: str) -> None:
        torch.set_num_threads(1)
        torch.backends.cudnn.deterministic = True
        if weights_sha256(config) != expected_sha256:
            raise InputError(
                f"the weights {config.weights} of {config.name} changed during the run; "
                "run the stage again"
            )
        self.encoder = load_encoder(config)

    def __call__(self, batch: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Encode one chunk.

        Args:
            batch: one decoded chunk, with `images` [1, b, c, h, w].

        Returns: the batch with `features` [1, b, d] and, with a classifier, its logits and
            confidences, in place of `images`.
        """
        images = torch.from_numpy(np.array(batch["images"][0]))
        features, logits = self.encoder.encode_inputs(images)
        results = {"features": features}
        if logits is not None:
            labels = torch.full((len(images),), int(batch["class_index"][0]), device=logits.device)
            results["logits"] = logits
            results["cross_entropy"] = cross_entropy(logits, labels)
            results["entropy"] = entropy(logits)
            results["max_prob"] = max_prob(logits)

        encoded = {name: batch[name] for name in ("class_index", "chunk", "statuses")}
        for name, values in results.items():
            encoded[name] = values.cpu().numpy()[None]
        return encoded


@dataclass(frozen=True)
class EncodedChunk:
    """One chunk after encoding, without the padding of its batch."""

    class_index: int
    number: int
    """Place of the chunk in its class, from 0."""
    statuses: list[ImageStatus]
    """One for each image."""
    arrays: dict[str, NDArray[Any]]
    """Features and, with a classifier, logits and confidences, by name; one row for each image."""

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> "EncodedChunk":
        """Return the chunk in a row that `EncoderActor` returned."""
        statuses = read_statuses(row["statuses"])
        arrays = {name: row[name][: len(statuses)] for name in ARRAYS if name in row}
        return cls(int(row["class_index"]), int(row["chunk"]), statuses, arrays)
