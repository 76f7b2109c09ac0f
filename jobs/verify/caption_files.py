"""Features of captions, and the agreement of images with them: one file for each class."""

from collections.abc import Iterator

from jobs.verify.evidence import Evidence, known
from jobs.verify.files import Problem
from jobs.work_units.captions import alignment_work, caption_features_work
from otcondense.datasets import order_classes
from otcondense.datasets.stored_captions import captions_fingerprint
from otcondense.encoders import AlignmentConfig, EncoderConfig
from otcondense.store import class_file, fingerprint
from pipeline.caption_work import CaptionWork, references_of


def check_captions(evidence: Evidence) -> Iterator[Problem]:
    """Check that the stored captions are those that the source has now."""
    run, listing = evidence.run, evidence.listing
    if run.config.source.captions is not None:
        expected = None if listing is None else captions_fingerprint(listing)
        yield from evidence.check(run.captions_file(), expected)


def check_caption_features(evidence: Evidence, encoder: EncoderConfig) -> Iterator[Problem]:
    """Check the features that one text network made of captions."""
    work = caption_features_work(evidence.run, encoder)
    yield from _check(evidence, work, encoder, None)


def check_alignment(evidence: Evidence, _directory: str) -> Iterator[Problem]:
    """Check the agreement of images with their captions."""
    config = evidence.run.config.confidence.alignment
    yield from _check(evidence, alignment_work(evidence.run), config.encoder, config)


def _check(
    evidence: Evidence,
    work: CaptionWork,
    encoder: EncoderConfig,
    alignment: AlignmentConfig | None,
) -> Iterator[Problem]:
    expected = known(
        f"fingerprints of the captions by {encoder.name}",
        lambda: _fingerprints(evidence, work, encoder, alignment),
    )
    for name in order_classes(evidence.images):
        found = None if expected is None else expected.get(name)
        yield from evidence.check(class_file(work.directory, name), found)


def _fingerprints(
    evidence: Evidence,
    work: CaptionWork,
    encoder: EncoderConfig,
    alignment: AlignmentConfig | None,
) -> dict[str, str]:
    """Return the fingerprint that the file of each class would get now; none without features.

    Raises: InputError if the network cannot be loaded.
    """
    from otcondense.encoders.caption_model import CaptionModel

    files = [class_file(work.features, name) for name in work.class_names]
    if not all(file in evidence.facts for file in files):
        return {}
    model = CaptionModel(encoder, joint=alignment is not None)
    shared = [model.sha256]
    if alignment is not None:
        shared.append(fingerprint(references_of(work, alignment)))
    return work.expected(work.by_class(), shared)
