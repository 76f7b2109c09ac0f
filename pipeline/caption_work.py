"""Features of captions, and the agreement of images with their captions: a file for each class.

Both follow the features of images, whose files say which images of a class there are. They are
computed in the process of the command.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from otcondense.datasets import captions_of, read_captions
from otcondense.encoders import AlignmentConfig, EncoderConfig, cross_entropy, entropy, max_prob
from otcondense.encoders.alignment import OWN, alignment_logits, reference_captions
from otcondense.encoders.caption_model import CaptionModel
from otcondense.store import (
    ClassConfidences,
    ClassFeatures,
    Store,
    class_file,
    class_files,
    fingerprint,
    read_class_features,
    read_columns,
    read_fingerprint,
    read_part,
    write_class_confidences,
    write_class_features,
)
from pipeline.fingerprints import content_of

ROWS = 4096
"""Images that are compared with the reference captions together: 32 MB of logits for 1,024."""
OnClass = Callable[[int, int], None]
"""Gets the number of files that are done, and their total."""


@dataclass(frozen=True)
class CaptionWork:
    """What the work on captions reads and writes."""

    store: Store
    captions: str
    """Name of the table of captions."""
    features: str
    """Directory of the features of the images."""
    directory: str
    """Of what is written."""
    class_names: list[str]
    key: str
    """Fingerprint of all settings."""

    def units(self, shared: list[str], *, in_parts: bool) -> list["Unit"]:
        """Return the files to write.

        Args:
            shared: digests of the network, and of captions that all images are compared with.
            in_parts: whether a large class has a file for each part, as its features have.

        Raises: MissingInputError if features or captions are missing, InputError if an image with
            features has no caption.
        """
        files: list[tuple[str, list[str]]] = []
        for name in self.class_names:
            of_class = class_files(self.store, self.features, name)
            files += [(name, [file]) for file in of_class] if in_parts else [(name, of_class)]
        ids = [self._ids(each) for _, each in files]
        texts = captions_of(self.store, self.captions, pa.concat_arrays(ids))
        found = []
        numbers: dict[str, int] = {}
        start = 0
        for (name, each), of_unit in zip(files, ids, strict=True):
            number = numbers.get(name, 0)
            numbers[name] = number + 1
            captions = texts.slice(start, len(of_unit)).to_pylist()
            start += len(of_unit)
            contents = [content_of(self.store, file) for file in each]
            key = fingerprint([self.key, *contents, *shared, fingerprint(captions)])
            found.append(
                Unit(name, number, captions, class_file(self.directory, name, number), key)
            )
        return found

    def _ids(self, files: list[str]) -> pa.Array:
        """Return the ids of the images in some files of a class, sorted."""
        columns = [read_columns(self.store, file, ["image_id"]) for file in files]
        ids = pa.concat_tables(columns).column("image_id").combine_chunks()
        return ids if len(files) == 1 else ids.take(pc.sort_indices(ids))


@dataclass(frozen=True)
class Unit:
    """One file to write, of a class or a part of it."""

    name: str
    """Of the class."""
    number: int
    """Of the part."""
    captions: list[str]
    """Of its images, in their order."""
    file: str
    expected: str
    """Fingerprint of the file."""

    def is_done(self, store: Store) -> bool:
        """Tell whether the file is there with its fingerprint."""
        return read_fingerprint(store, self.file) == self.expected


def encode_captions(work: CaptionWork, encoder: EncoderConfig, on_class: OnClass) -> int:
    """Write the embeddings of the captions of every class as features.

    Args:
        work: what is read and written.
        encoder: the text network.
        on_class: called after every file.

    Returns: number of files that were already there.

    Raises: InputError if the network cannot be used, or an image has no caption;
        MissingInputError if features or captions are missing.
    """
    model = CaptionModel(encoder)
    units = work.units([model.sha256], in_parts=True)
    skipped = 0
    for done, unit in enumerate(units, 1):
        if unit.is_done(work.store):
            skipped += 1
        else:
            images = read_part(work.store, work.features, unit.name, unit.number)
            made = _caption_features(images, model.embed(unit.captions))
            write_class_features(work.store, work.directory, made, fingerprint=unit.expected)
        on_class(done, len(units))
    return skipped


def _caption_features(images: ClassFeatures, features: np.ndarray) -> ClassFeatures:
    return ClassFeatures(
        class_name=images.class_name,
        class_index=images.class_index,
        image_ids=images.image_ids,
        features=features,
        logits=None,
        cross_entropy=None,
        entropy=None,
        max_prob=None,
        width=images.width,
        height=images.height,
        sha256=images.sha256,
        part=images.part,
    )


def score_by_alignment(work: CaptionWork, config: AlignmentConfig, on_class: OnClass) -> int:
    """Write how well the images of every class agree with their captions, as confidences.

    Args:
        work: what is read and written; its features are those of the same network.
        config: the network and the number of other captions.
        on_class: called after every file.

    Returns: number of files that were already there.

    Raises: InputError and MissingInputError as `encode_captions`.
    """
    model = CaptionModel(config.encoder, joint=True)
    references = references_of(work, config)
    units = work.units([model.sha256, fingerprint(references)], in_parts=False)
    embedded: torch.Tensor | None = None
    skipped = 0
    for done, unit in enumerate(units, 1):
        if unit.is_done(work.store):
            skipped += 1
        else:
            if embedded is None:
                embedded = torch.from_numpy(model.embed(references))
            images = read_class_features(work.store, work.features, unit.name)
            made = _agreement(images, unit.captions, model, references, embedded)
            write_class_confidences(work.store, work.directory, made, fingerprint=unit.expected)
        on_class(done, len(units))
    return skipped


def references_of(work: CaptionWork, config: AlignmentConfig) -> list[str]:
    """Return the captions that all images are compared with.

    Raises: MissingInputError if the captions are missing.
    """
    every = read_captions(work.store, work.captions).column("caption")
    return reference_captions(pc.unique(every).to_pylist(), config.others)


def _agreement(
    images: ClassFeatures,
    texts: list[str],
    model: CaptionModel,
    references: list[str],
    embedded: torch.Tensor,
) -> ClassConfidences:
    """Return the confidences of one class, some images at a time."""
    own = model.embed(texts)
    place = {text: number for number, text in enumerate(references)}
    numbers = torch.tensor([place.get(text, -1) for text in texts])
    parts: dict[str, list[np.ndarray]] = {"cross_entropy": [], "entropy": [], "max_prob": []}
    for start in range(0, images.size, ROWS):
        rows = slice(start, start + ROWS)
        is_own = numbers[rows, None] == torch.arange(len(references))
        logits = alignment_logits(
            torch.from_numpy(images.features[rows]),
            torch.from_numpy(own[rows]),
            embedded,
            is_own,
            model.scale,
        )
        labels = torch.full((len(logits),), OWN)
        parts["cross_entropy"].append(cross_entropy(logits, labels).numpy())
        parts["entropy"].append(entropy(logits).numpy())
        parts["max_prob"].append(max_prob(logits).numpy())
    joined = {name: np.concatenate(values) for name, values in parts.items()}
    return ClassConfidences(
        class_name=images.class_name,
        class_index=images.class_index,
        image_ids=images.image_ids,
        logits=None,
        **joined,
    )
