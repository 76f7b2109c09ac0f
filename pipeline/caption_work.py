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
    fingerprint,
    read_class_features,
    read_columns,
    read_fingerprint,
    write_class_confidences,
    write_class_features,
)
from pipeline.fingerprints import content_of

ROWS = 4096
"""Images that are compared with the reference captions together: 32 MB of logits for 1,024."""
OnClass = Callable[[int, int], None]
"""Gets the number of classes that are done, and their total."""


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

    def by_class(self) -> dict[str, list[str]]:
        """Return the captions of each class, in the order of its images.

        Raises: MissingInputError if features or captions are missing, InputError if an image with
            features has no caption.
        """
        ids = [self._ids(name) for name in self.class_names]
        texts = captions_of(self.store, self.captions, pa.concat_arrays(ids))
        ends = np.cumsum([len(each) for each in ids])
        starts = ends - [len(each) for each in ids]
        found = {}
        for name, start, end in zip(self.class_names, starts, ends, strict=True):
            found[name] = texts.slice(int(start), int(end - start)).to_pylist()
        return found

    def _ids(self, name: str) -> pa.Array:
        table = read_columns(self.store, class_file(self.features, name), ["image_id"])
        return table.column("image_id").combine_chunks()

    def expected(self, captions: dict[str, list[str]], shared: list[str]) -> dict[str, str]:
        """Return the fingerprint of the file of each class.

        Args:
            captions: as `by_class` returns them.
            shared: digests of the network, and of captions that all classes are compared with.

        Raises: MissingInputError if features are missing.
        """
        found = {}
        for name, texts in captions.items():
            content = content_of(self.store, class_file(self.features, name))
            found[name] = fingerprint([self.key, content, *shared, fingerprint(texts)])
        return found


def encode_captions(work: CaptionWork, encoder: EncoderConfig, on_class: OnClass) -> int:
    """Write the embeddings of the captions of every class as features.

    Args:
        work: what is read and written.
        encoder: the text network.
        on_class: called after every class.

    Returns: number of classes that were already there.

    Raises: InputError if the network cannot be used, or an image has no caption;
        MissingInputError if features or captions are missing.
    """
    captions = work.by_class()
    model = CaptionModel(encoder)
    expected = work.expected(captions, [model.sha256])
    skipped = 0
    for done, (name, texts) in enumerate(captions.items(), 1):
        if read_fingerprint(work.store, class_file(work.directory, name)) == expected[name]:
            skipped += 1
        else:
            images = read_class_features(work.store, work.features, name)
            made = _caption_features(images, model.embed(texts))
            write_class_features(work.store, work.directory, made, fingerprint=expected[name])
        on_class(done, len(captions))
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
    )


def score_by_alignment(work: CaptionWork, config: AlignmentConfig, on_class: OnClass) -> int:
    """Write how well the images of every class agree with their captions, as confidences.

    Args:
        work: what is read and written; its features are those of the same network.
        config: the network and the number of other captions.
        on_class: called after every class.

    Returns: number of classes that were already there.

    Raises: InputError and MissingInputError as `encode_captions`.
    """
    captions = work.by_class()
    model = CaptionModel(config.encoder, joint=True)
    references = references_of(work, config)
    expected = work.expected(captions, [model.sha256, fingerprint(references)])
    embedded: torch.Tensor | None = None
    skipped = 0
    for done, (name, texts) in enumerate(captions.items(), 1):
        if read_fingerprint(work.store, class_file(work.directory, name)) == expected[name]:
            skipped += 1
        else:
            if embedded is None:
                embedded = torch.from_numpy(model.embed(references))
            images = read_class_features(work.store, work.features, name)
            made = _agreement(images, texts, model, references, embedded)
            write_class_confidences(work.store, work.directory, made, fingerprint=expected[name])
        on_class(done, len(captions))
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
