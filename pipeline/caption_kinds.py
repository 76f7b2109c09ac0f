"""What is made of captions: features, or the agreement of images with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from otcondense.datasets import read_captions
from otcondense.encoders import AlignmentConfig, EncoderConfig, cross_entropy, entropy, max_prob
from otcondense.encoders.alignment import OWN, alignment_logits, reference_captions
from otcondense.encoders.caption_model import CaptionModel
from otcondense.errors import MissingInputError
from otcondense.store import (
    ClassConfidences,
    ClassFeatures,
    fingerprint,
    read_columns,
    read_part,
    stored_metadata,
    write_class_confidences,
    write_class_features,
)
from otcondense.store.features import class_file
from pipeline.caption_work import CaptionPlan, CaptionWork, Piece, Unit

Arrays = dict[str, np.ndarray]
"""Results by name, each with a row for each image."""
FEATURES = "features"
"""Name of the embeddings of captions among the results."""
ROWS = 4096
"""Images that are compared with the reference captions together: 32 MB of logits for 1,024."""


class Reader(Protocol):
    """A network that reads the captions of pieces."""

    def read(self, unit: Unit, piece: Piece, texts: list[str]) -> Arrays:
        """Return the results for the images of a piece."""
        ...


class CaptionKind(Protocol):
    """What is made of captions."""

    @property
    def encoder(self) -> EncoderConfig:
        """The text network."""
        ...

    @property
    def is_joint(self) -> bool:
        """Whether it must embed images in the same space."""
        ...

    def plan(self, work: CaptionWork, weights: str) -> CaptionPlan:
        """Return the files to write, by a network with this digest."""
        ...

    def reader(self, work: CaptionWork, model: CaptionModel) -> Reader:
        """Return what a worker reads captions with."""
        ...

    def write(self, work: CaptionWork, unit: Unit, arrays: Arrays) -> None:
        """Write the file of a unit from the results for all its images."""
        ...


@dataclass(frozen=True)
class CaptionFeatures:
    """The embeddings of captions as features, in files like those of the images."""

    encoder: EncoderConfig
    is_joint: bool = False

    def plan(self, work: CaptionWork, weights: str) -> CaptionPlan:
        """Return the files to write: as many as those of the features of the images."""
        return work.plan([weights], in_parts=True, batch_size=self.encoder.batch_size)

    def reader(self, work: CaptionWork, model: CaptionModel) -> "EmbeddingReader":  # noqa: ARG002
        """Return what a worker reads captions with."""
        return EmbeddingReader(model)

    def write(self, work: CaptionWork, unit: Unit, arrays: Arrays) -> None:
        """Write the features of the captions of a class, or of a part of it."""
        images = read_part(work.store, work.features, unit.name, unit.number)
        made = ClassFeatures(
            class_name=images.class_name,
            class_index=images.class_index,
            image_ids=images.image_ids,
            features=arrays[FEATURES],
            logits=None,
            cross_entropy=None,
            entropy=None,
            max_prob=None,
            width=images.width,
            height=images.height,
            sha256=images.sha256,
            part=images.part,
        )
        write_class_features(work.store, work.directory, made, fingerprint=unit.expected)


@dataclass(frozen=True)
class EmbeddingReader:
    """Embeds captions."""

    model: CaptionModel

    def read(self, unit: Unit, piece: Piece, texts: list[str]) -> Arrays:  # noqa: ARG002
        """Return the embeddings of the captions of a piece."""
        return {FEATURES: self.model.embed(texts)}


@dataclass(frozen=True)
class CaptionAgreement:
    """How well images agree with their captions, as confidences in one file for each class."""

    config: AlignmentConfig
    references: tuple[str, ...]
    """Captions that all images are compared with."""
    is_joint: bool = True

    @classmethod
    def of(cls, work: CaptionWork, config: AlignmentConfig) -> "CaptionAgreement":
        """Return the agreement with the captions of a run.

        Raises: MissingInputError if the captions are missing.
        """
        every = read_captions(work.store, work.captions).column("caption")
        return cls(config, tuple(reference_captions(pc.unique(every).to_pylist(), config.others)))

    @property
    def encoder(self) -> EncoderConfig:
        """The network for images and texts."""
        return self.config.encoder

    def plan(self, work: CaptionWork, weights: str) -> CaptionPlan:
        """Return the files to write: one for each class."""
        shared = [weights, fingerprint(list(self.references))]
        return work.plan(shared, in_parts=False, batch_size=self.encoder.batch_size)

    def reader(self, work: CaptionWork, model: CaptionModel) -> "AgreementReader":
        """Return what a worker reads captions with."""
        return AgreementReader(work, model, self.references)

    def write(self, work: CaptionWork, unit: Unit, arrays: Arrays) -> None:
        """Write the confidences of a class."""
        files = [class_file(work.features, unit.name, number) for number in unit.parts]
        ids = pa.concat_tables(read_columns(work.store, file, ["image_id"]) for file in files)
        found = ids.column("image_id").combine_chunks()
        order = pc.sort_indices(found)
        rows = order.to_numpy()
        metadata = stored_metadata(work.store, files[0])
        if metadata is None:
            raise MissingInputError(f"{work.store.path(files[0])} is missing", files[0])
        made = ClassConfidences(
            class_name=unit.name,
            class_index=int(metadata["class_index"]),
            image_ids=found.take(order).to_pylist(),
            logits=None,
            **{name: values[rows] for name, values in arrays.items()},
        )
        write_class_confidences(work.store, work.directory, made, fingerprint=unit.expected)


class AgreementReader:
    """Compares images with their own captions and with the reference captions."""

    def __init__(self, work: CaptionWork, model: CaptionModel, references: Sequence[str]) -> None:
        self._work = work
        self._model = model
        self._references = torch.from_numpy(model.embed(references))
        self._places = {text: number for number, text in enumerate(references)}
        # The next piece is often of the same file.
        self._part = lru_cache(maxsize=1)(self._read_part)

    def _read_part(self, name: str, number: int) -> ClassFeatures:
        return read_part(self._work.store, self._work.features, name, number)

    def read(self, unit: Unit, piece: Piece, texts: list[str]) -> Arrays:
        """Return the confidences of the images of a piece, computed some images at a time."""
        images = torch.from_numpy(self._part(unit.name, piece.part).features[piece.rows])
        own = torch.from_numpy(self._model.embed(texts))
        numbers = torch.tensor([self._places.get(text, -1) for text in texts])
        starts = range(0, len(texts), ROWS)
        parts = [
            self._compared(images[start : start + ROWS], own[start : start + ROWS], numbers[start:])
            for start in starts
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _compared(
        self, images: torch.Tensor, own: torch.Tensor, numbers: torch.Tensor
    ) -> dict[str, np.ndarray]:
        """Return the confidences of some images.

        Args:
            images: embeddings.
            own: embeddings of their captions.
            numbers: place of each of these captions in the references, -1 if it is none.
        """
        is_own = numbers[: len(images), None] == torch.arange(len(self._references))
        logits = alignment_logits(images, own, self._references, is_own, self._model.scale)
        labels = torch.full((len(logits),), OWN)
        return {
            "cross_entropy": cross_entropy(logits, labels).numpy(),
            "entropy": entropy(logits).numpy(),
            "max_prob": max_prob(logits).numpy(),
        }
