"""Fingerprints of the features of one class: equal inputs and settings, equal fingerprint."""

from otcondense.errors import MissingInputError
from otcondense.store import (
    FEATURES_SCHEMA_VERSION,
    FeatureView,
    PartOf,
    Store,
    fingerprint,
    stored_metadata,
)
from otcondense.store.features import WHOLE


def class_fingerprint(images: str, inputs: str) -> str:
    """Return the fingerprint of the extracted features of a class or a part of it.

    Args:
        images: digest of the ids, sizes and times of its images.
        inputs: as `class_inputs` returns it.
    """
    return fingerprint([images, inputs])


def class_inputs(name: str, index: int, key: str, part: PartOf = WHOLE) -> str:
    """Return the fingerprint of the inputs of a feature file besides its images.

    The content of the images is in the feature file. So images whose times have changed, by `touch`
    or a copy, are recognised.

    Args:
        name: of the class.
        index: of the class.
        key: fingerprint of all settings of the stage and of the weights.
        part: of the class.
    """
    return fingerprint(["inputs", key, FEATURES_SCHEMA_VERSION, index, name, *_of_part(part)])


def given_fingerprint(images: str, stage_fingerprint: str, part: PartOf = WHOLE) -> str:
    """Return the fingerprint of the given features of a class or a part of it.

    Args:
        images: digest of the ids, sizes and times of its rows.
        stage_fingerprint: of all settings of the stage.
        part: of the class.
    """
    return fingerprint([stage_fingerprint, FEATURES_SCHEMA_VERSION, images, *_of_part(part)])


def _of_part(part: PartOf) -> list[int]:
    """Return what the fingerprint of a part says of it: nothing if it is the whole class."""
    return [] if part == WHOLE else [part.number, part.count]


def probe_fingerprint(
    store: Store, features: FeatureView, class_names: list[str], stage_fingerprint: str
) -> str:
    """Return the fingerprint of the confidences of every class.

    Args:
        store: the run.
        features: those that the probes see; the content of their files is part of the fingerprint.
        class_names: all classes.
        stage_fingerprint: of all settings of the stage.

    Raises: MissingInputError if features are missing.
    """
    files = [file for name in class_names for file in features.files(store, name)]
    contents = [content_of(store, file) for file in files]
    return fingerprint([stage_fingerprint, *contents])


def content_of(store: Store, name: str) -> str:
    """Return the digest of the content of one stored table.

    Raises: MissingInputError if it is missing or damaged.
    """
    metadata = stored_metadata(store, name)
    if metadata is None:
        raise MissingInputError(f"{store.path(name)} is missing or damaged", name)
    return str(metadata["content"])
