"""Features and confidences: one file for each class of the source, as many images out as went in."""

from collections.abc import Iterator

from jobs.run_directory.run import Run
from jobs.verify.evidence import Evidence, known
from jobs.verify.files import Problem
from otcondense.datasets import ImageRecord
from otcondense.encoders import EncoderConfig, weights_sha256
from otcondense.store import class_file, fingerprint
from pipeline.extract import class_fingerprint
from pipeline.given_features import rows_fingerprint
from pipeline.probe_scores import probe_fingerprint
from pipeline.quarantine import read_class_quarantine

VERB = "extract_features"


def check_features(evidence: Evidence) -> Iterator[Problem]:
    """Check the features of every encoder, then the confidences of a probe."""
    run = evidence.run
    selected = any(
        run.store.exists(run.manifest(method)) for method in run.config.selection.methods
    )
    # Given features have no encoder of their own; the configured one names their directory.
    for encoder in run.config.encoders or [run.config.encoder]:
        if selected or evidence.has_any(run.features_directory(encoder)):
            yield from _check_encoder(evidence, encoder)
    directory = run.confidence_directory()
    if (
        run.config.confidence.kind == "probe"
        and directory is not None
        and (selected or evidence.has_any(directory))
    ):
        names = sorted(evidence.images)
        features = run.features_directory(run.config.encoder)
        whole = names and all(class_file(features, name) in evidence.facts for name in names)
        expected = (
            probe_fingerprint(run.store, features, names, fingerprint(run.probe_key()))
            if whole
            else None
        )
        for name in names:
            yield from evidence.check(class_file(directory, name), VERB, expected)


def _check_encoder(evidence: Evidence, encoder: EncoderConfig) -> Iterator[Problem]:
    expected = _expected(evidence.run, encoder, evidence.images)
    directory = evidence.run.features_directory(encoder)
    for class_name, records in evidence.images.items():
        name = class_file(directory, class_name)
        yield from evidence.check(name, VERB, expected.get(class_name))
        if name in evidence.facts:
            facts = evidence.facts[name]
            lost = len(
                read_class_quarantine(evidence.run.store, directory, class_name, facts.fingerprint)
            )
            if facts.rows + lost != len(records):
                found = f"{facts.rows} images and {lost} quarantined ones, the source has {len(records)} of class {class_name}"
                yield Problem(name, found, VERB)


def _expected(
    run: Run, encoder: EncoderConfig, images: dict[str, list[ImageRecord]]
) -> dict[str, str]:
    """Return the fingerprint that the features of each class would get now; empty if the encoder's weights are not at hand."""
    key = fingerprint(run.features_key(encoder))
    if not run.config.source.has_images:
        return {name: rows_fingerprint(records, key) for name, records in images.items()}
    sha256 = known(f"fingerprints of {encoder.name}", lambda: weights_sha256(encoder))
    return (
        {}
        if sha256 is None
        else {name: class_fingerprint(records, key, sha256) for name, records in images.items()}
    )
