"""Fingerprints of the features of one class: equal inputs and settings, equal fingerprint."""

from otcondense.datasets import Listing
from otcondense.datasets.listing import identity_of
from otcondense.errors import MissingInputError
from otcondense.store import (
    FEATURES_SCHEMA_VERSION,
    FeatureView,
    Store,
    fingerprint,
    stored_metadata,
)


def class_fingerprint(images: str, inputs: str) -> str:
    """Return the fingerprint of the extracted features of one class.

    Args:
        images: digest of the ids, sizes and times of its images.
        inputs: as `class_inputs` returns it.
    """
    return fingerprint([images, inputs])


def class_inputs(name: str, index: int, key: str) -> str:
    """Return the fingerprint of the inputs of a class besides its images.

    The content of the images is in the feature file. So images whose times have changed, by `touch`
    or a copy, are recognised.

    Args:
        name: of the class.
        index: of the class.
        key: fingerprint of all settings of the stage and of the weights.
    """
    return fingerprint(["inputs", key, FEATURES_SCHEMA_VERSION, index, name])


def rows_fingerprint(listing: Listing, name: str, stage_fingerprint: str) -> str:
    """Return the fingerprint of the given features of one class.

    Args:
        listing: of the source.
        name: of the class.
        stage_fingerprint: of all settings of the stage.
    """
    rows = listing.rows_of(name)
    images = identity_of(listing.table.slice(rows.start, len(rows)))
    return fingerprint([stage_fingerprint, FEATURES_SCHEMA_VERSION, images])


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
    contents = [_content(store, file) for file in files]
    return fingerprint([stage_fingerprint, *contents])


def _content(store: Store, name: str) -> str:
    """Return the digest of the content of one stored table."""
    metadata = stored_metadata(store, name)
    if metadata is None:
        raise MissingInputError(f"{store.path(name)} is missing or damaged", name)
    return str(metadata["content"])
