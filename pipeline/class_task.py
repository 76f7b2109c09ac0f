"""The extraction of one class: its images, the chunks that have come back, and its files."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otcondense.datasets import ImageRecord
from otcondense.errors import InputError
from otcondense.store import (
    ClassFeatures,
    Store,
    class_file,
    read_unchanged,
    table_metadata,
    write_class_features,
)
from pipeline.chunks import Chunk, DecodeConfig, ImageStatus, decode_status, make_chunks
from pipeline.encoding import CONFIDENCES, EncodedChunk
from pipeline.fingerprints import class_fingerprint, class_inputs
from pipeline.quarantine import Lost, read_class_quarantine, write_class_quarantine


@dataclass
class ClassTask:
    """One class on its way from images to a feature file."""

    records: list[ImageRecord]
    fingerprint: str
    """Of the feature file."""
    inputs: str
    """Fingerprint of the inputs of the feature file besides the images."""
    chunks: list[Chunk]
    encoded: dict[int, EncodedChunk] = field(default_factory=dict)
    """Chunks that have come back, by number."""

    @property
    def class_name(self) -> str:
        """Name of the class."""
        return self.records[0].class_name

    @property
    def class_index(self) -> int:
        """Index of the class."""
        return self.records[0].class_index

    @property
    def is_complete(self) -> bool:
        """Whether all chunks have come back."""
        return len(self.encoded) == len(self.chunks)

    def add(self, chunk: EncodedChunk) -> None:
        """Keep an encoded chunk."""
        assert chunk.number not in self.encoded, "a chunk came back twice"
        self.encoded[chunk.number] = chunk

    def lost(self, chunk: EncodedChunk) -> list[Lost]:
        """Return the images of an encoded chunk that cannot be used."""
        first = sum(len(each.paths) for each in self.chunks[: chunk.number])
        records = self.records[first : first + len(chunk.statuses)]
        return _lost(records, chunk.statuses)


def plan_class(
    records: list[ImageRecord], stage_fingerprint: str, weights_sha256: str, batch_size: int
) -> ClassTask:
    """Return the task of one class.

    Args:
        records: the images of the class, sorted.
        stage_fingerprint: of all settings of the stage.
        weights_sha256: of the encoder.
        batch_size: images that are encoded together.
    """
    return ClassTask(
        records,
        class_fingerprint(records, stage_fingerprint, weights_sha256),
        class_inputs(records, stage_fingerprint, weights_sha256),
        list(make_chunks(records, batch_size)),
    )


def finished_class(
    store: Store, directory: str, task: ClassTask, decode: DecodeConfig
) -> list[Lost] | None:
    """Return the lost images of a finished class.

    Lost images are tried again: one that was repaired can have the size and the time it had.

    Returns: None if the class must be encoded: its file is missing, damaged or has another
        fingerprint, images are missing in it, or a lost one is readable now.
    """
    try:
        table = read_unchanged(store, class_file(directory, task.class_name))
    except InputError:
        return None
    if table_metadata(table).get("fingerprint") != task.fingerprint:
        return None
    lost = read_class_quarantine(store, directory, task.class_name, task.fingerprint)
    if len(table) + len(lost) != len(task.records):
        return None
    paths = {record.image_id: record.path for record in task.records}
    for each in lost:
        if decode_status(paths[each.image_id], decode).reason is None:
            return None
    return lost


def write_class(store: Store, directory: str, task: ClassTask) -> None:
    """Write the quarantine and then the features of a class whose chunks have all come back.

    Raises: InputError if no image can be used, or features are not finite.
    """
    parts = [task.encoded[number] for number in range(len(task.chunks))]
    statuses = [status for part in parts for status in part.statuses]
    lost = _lost(task.records, statuses)
    if len(lost) == len(task.records):
        raise InputError(
            f"no image of class {task.class_name} can be used, "
            f"the first is {lost[0].image_id}: {lost[0].reason}"
        )
    features = _class_features(task, parts, statuses)
    write_class_quarantine(store, directory, task.class_name, task.fingerprint, lost)
    write_class_features(
        store, directory, features, fingerprint=task.fingerprint, inputs=task.inputs
    )


def _lost(records: list[ImageRecord], statuses: list[ImageStatus]) -> list[Lost]:
    """Return the images that cannot be used."""
    lost = []
    for record, status in zip(records, statuses, strict=True):
        if status.reason is not None:
            lost.append(Lost(record.image_id, record.class_name, status.reason))
    return lost


def _class_features(
    task: ClassTask, parts: list[EncodedChunk], statuses: list[ImageStatus]
) -> ClassFeatures:
    """Join the encoded chunks of a class, without the lost images."""
    usable = [row for row, status in enumerate(statuses) if status.reason is None]
    arrays = {name: _joined(parts, name)[usable] for name in parts[0].arrays}
    image_ids = [task.records[row].image_id for row in usable]
    for name, values in arrays.items():
        _check_finite(name, values, image_ids)
    return ClassFeatures(
        class_name=task.class_name,
        class_index=task.class_index,
        image_ids=image_ids,
        features=arrays["features"],
        logits=arrays.get("logits"),
        width=np.array([statuses[row].width for row in usable], dtype=np.int32),
        height=np.array([statuses[row].height for row in usable], dtype=np.int32),
        sha256=[statuses[row].sha256 for row in usable],
        **{name: arrays.get(name) for name in CONFIDENCES},
    )


def _joined(parts: list[EncodedChunk], name: str) -> NDArray[Any]:
    return np.concatenate([part.arrays[name] for part in parts])


def _check_finite(name: str, values: NDArray[Any], image_ids: list[str]) -> None:
    """Refuse the outputs of an encoder that are not finite.

    Raises: InputError naming the output and the first image.
    """
    bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
    if len(bad):
        raise InputError(
            f"{name} must be finite, found NaN or infinite values for "
            f"{image_ids[bad[0]]} and {len(bad) - 1} more"
        )
