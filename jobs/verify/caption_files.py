"""Features of captions, and the agreement of images with them: one file for each class."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from jobs.verify.evidence import Evidence, known
from jobs.verify.files import Problem
from otcondense.datasets import order_classes
from otcondense.datasets.stored_captions import captions_fingerprint
from otcondense.encoders import EncoderConfig
from otcondense.store import class_file, class_files

if TYPE_CHECKING:
    from pipeline.caption_kinds import CaptionKind
    from pipeline.caption_work import CaptionWork


def check_captions(evidence: Evidence) -> Iterator[Problem]:
    """Check that the stored captions are those that the source has now."""
    run, listing = evidence.run, evidence.listing
    if run.config.source.captions is not None:
        expected = None if listing is None else captions_fingerprint(listing)
        yield from evidence.check(run.captions_file(), expected)


def check_caption_features(evidence: Evidence, encoder: EncoderConfig) -> Iterator[Problem]:
    """Check the features that one text network made of captions."""
    # Runs without captions are checked without torch.
    from jobs.work_units.captions import caption_features_work
    from pipeline.caption_kinds import CaptionFeatures

    work = caption_features_work(evidence.run, encoder)
    yield from _check(evidence, work, encoder.name, lambda: CaptionFeatures(encoder))


def check_alignment(evidence: Evidence, _directory: str) -> Iterator[Problem]:
    """Check the agreement of images with their captions."""
    from jobs.work_units.captions import alignment_work
    from pipeline.caption_kinds import CaptionAgreement

    config = evidence.run.config.confidence.alignment
    work = alignment_work(evidence.run)
    kind = partial(CaptionAgreement.of, work, config)
    yield from _check(evidence, work, config.encoder.name, kind)


def _check(
    evidence: Evidence, work: CaptionWork, network: str, kind: Callable[[], CaptionKind]
) -> Iterator[Problem]:
    expected = known(
        f"fingerprints of the captions by {network}", lambda: _fingerprints(evidence, work, kind)
    )
    names = order_classes(evidence.images)
    wanted = expected or dict.fromkeys(class_file(work.directory, name) for name in names)
    for file, found in wanted.items():
        yield from evidence.check(file, found)


def _fingerprints(
    evidence: Evidence, work: CaptionWork, kind: Callable[[], CaptionKind]
) -> dict[str, str]:
    """Return the fingerprint that each file would get now; none without features.

    Raises: InputError if the network cannot be loaded.
    """
    from pipeline.caption_worker import CaptionJob

    store = evidence.run.store
    files = [file for name in work.class_names for file in class_files(store, work.features, name)]
    if not all(file in evidence.facts for file in files):
        return {}
    units = CaptionJob.of(work, kind()).plan.units
    return {unit.file: unit.expected for unit in units}
