"""Classes whose images have other times and the same content: `touch`, or a copy of the source.

Their features stay. Reading the images once is far cheaper than encoding them.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from otcondense.datasets import ImageRecord, read_image_bytes
from otcondense.errors import InputError
from otcondense.store import (
    ClassFeatures,
    Store,
    class_file,
    read_class_features,
    read_unchanged,
    sha256_bytes,
    table_metadata,
    write_class_features,
)
from otcondense.store.features import INPUTS_KEY
from pipeline.chunks import DecodeConfig, decode_status
from pipeline.class_task import ClassTask
from pipeline.quarantine import Lost, read_class_quarantine, write_class_quarantine

READERS = 8
"""Threads that read images; a disk or a store answers several requests at once."""


@dataclass(frozen=True)
class _Stored:
    """The result of an earlier extraction of a class."""

    features: ClassFeatures
    lost: list[Lost]


def recognise_class(
    store: Store, directory: str, task: ClassTask, decode: DecodeConfig
) -> list[Lost] | None:
    """Keep the features of a class whose images have the content that was encoded.

    Its files get the fingerprint of the task, so that the images are not read again.

    Returns: the lost images of the class; None if it must be encoded.
    """
    stored = _same(store, directory, task, decode)
    if stored is None:
        return None
    write_class_quarantine(store, directory, task.class_name, task.fingerprint, stored.lost)
    write_class_features(
        store, directory, stored.features, fingerprint=task.fingerprint, inputs=task.inputs
    )
    return stored.lost


def has_same_content(store: Store, directory: str, task: ClassTask, decode: DecodeConfig) -> bool:
    """Tell whether the images of a class have the content that was encoded; nothing is written."""
    return _same(store, directory, task, decode) is not None


def _same(store: Store, directory: str, task: ClassTask, decode: DecodeConfig) -> _Stored | None:
    stored = _stored(store, directory, task)
    if stored is None or not _is_same_content(stored, task.records, decode):
        return None
    return stored


def _stored(store: Store, directory: str, task: ClassTask) -> _Stored | None:
    """Return the features of a class if only its images can have changed since."""
    name = class_file(directory, task.class_name)
    try:
        metadata = table_metadata(read_unchanged(store, name))
        if metadata.get(INPUTS_KEY) != task.inputs:
            return None
        features = read_class_features(store, directory, task.class_name)
    except InputError:
        return None
    mark = str(metadata["fingerprint"])
    return _Stored(features, read_class_quarantine(store, directory, task.class_name, mark))


def _is_same_content(stored: _Stored, records: list[ImageRecord], decode: DecodeConfig) -> bool:
    """Tell whether every image has its hash, and every lost one is lost for the same reason."""
    hashes = dict(zip(stored.features.image_ids, stored.features.sha256, strict=True))
    reasons = {lost.image_id: lost.reason for lost in stored.lost}
    image_ids = [record.image_id for record in records]
    if sorted([*hashes, *reasons]) != sorted(image_ids):
        return False

    def is_same(record: ImageRecord) -> bool:
        if record.image_id in reasons:
            return decode_status(record.path, decode).reason == reasons[record.image_id]
        try:
            data = read_image_bytes(record.path)
        except OSError:
            return False
        return sha256_bytes(data) == hashes[record.image_id]

    with ThreadPoolExecutor(READERS) as pool:
        for start in range(0, len(records), READERS):
            # Some at a time, so that the first other image ends the reading.
            if not all(pool.map(is_same, records[start : start + READERS])):
                return False
    return True
