"""Features and confidences: one file for each class of the source, with all of its images."""

from collections.abc import Iterator

from jobs.command.progress import note
from jobs.verify.caption_files import check_alignment, check_caption_features, check_captions
from jobs.verify.evidence import Evidence, known
from jobs.verify.files import MISSING, Problem
from otcondense.datasets import Listing, order_classes
from otcondense.encoders import EncoderConfig
from otcondense.store import class_file, fingerprint
from pipeline.class_plan import ClassPlan, plan_given, plan_parts
from pipeline.fingerprints import probe_fingerprint
from pipeline.quarantine import quarantine_file, read_class_quarantine


def check_features(evidence: Evidence) -> Iterator[Problem]:
    """Check the features of every encoder, then the confidences of a probe."""
    run = evidence.run
    is_selected = any(
        run.store.exists(run.manifest(method)) for method in run.config.selection.subsets
    )
    # Imported features have no encoder; their directory is that of the configured one.
    for encoder in run.config.extracting or [run.config.encoder]:
        if is_selected or evidence.has_any(run.features_directory(encoder)):
            yield from _check_encoder(evidence, encoder)

    if is_selected or evidence.has_any("listing"):
        yield from check_captions(evidence)
    for encoder in run.config.captioning:
        if is_selected or evidence.has_any(run.features_directory(encoder)):
            yield from check_caption_features(evidence, encoder)
    directory = run.confidence_directory()
    checks = {"probe": _check_probe, "alignment": check_alignment}
    check = checks.get(run.config.confidence.kind)
    if check is None or directory is None:
        return
    if is_selected or evidence.has_any(directory):
        yield from check(evidence, directory)


def _check_probe(evidence: Evidence, directory: str) -> Iterator[Problem]:
    run = evidence.run
    names = order_classes(evidence.images)
    features = run.features_view()
    files = [file for name in names for file in features.files(run.store, name)]
    is_complete = names and all(file in evidence.facts for file in files)
    expected = None
    if is_complete:
        key = fingerprint(run.probe_key())
        expected = probe_fingerprint(run.store, features, names, key)
    for name in names:
        yield from evidence.check(class_file(directory, name), expected)


def _check_encoder(evidence: Evidence, encoder: EncoderConfig) -> Iterator[Problem]:
    directory = evidence.run.features_directory(encoder)
    plans = _plans(evidence)
    expected = _fingerprints(evidence, encoder)
    yield from _check_summary(evidence, [plan.file(directory) for plan in plans], directory)
    for plan in plans:
        name = plan.file(directory)
        yield from evidence.check(name, expected.get(name))
        if name not in evidence.facts:
            continue
        facts = evidence.facts[name]
        where = plan.lost_file(directory)
        lost = read_class_quarantine(evidence.run.store, where, facts.fingerprint)
        if facts.rows + len(lost) != plan.size:
            found = (
                f"{facts.rows} images and {len(lost)} quarantined ones, "
                f"the source has {plan.size} of {plan.text}"
            )
            yield Problem(name, found)


def _plans(evidence: Evidence) -> list[ClassPlan]:
    """Return the plan of each feature file, with the fingerprints of no encoder."""
    listing = evidence.listing
    return [] if listing is None else plan_parts(listing, "")


def _check_summary(evidence: Evidence, names: list[str], directory: str) -> Iterator[Problem]:
    """Check that complete features of images have their list of unreadable images."""
    is_complete = bool(names) and all(name in evidence.facts for name in names)
    summary = quarantine_file(directory)
    has_images = evidence.run.config.source.has_images
    if has_images and is_complete and not evidence.run.store.exists(summary):
        yield Problem(summary, MISSING)


def _fingerprints(evidence: Evidence, encoder: EncoderConfig) -> dict[str, str]:
    """Return the fingerprint that each feature file would get now, by its name.

    Returns: an empty dict if the encoder's weights are not available.
    """
    run = evidence.run
    key = fingerprint(run.features_key(encoder))
    listing = evidence.listing
    if listing is None:
        return {}
    if not run.config.source.has_images:
        directory = run.features_directory(encoder)
        return {plan.file(directory): plan.fingerprint for plan in plan_given(listing, key)}
    if encoder.is_own_code:
        note("verify", f"{encoder.name} is not run to check a file: its weights are not compared")
        return {}
    from otcondense.encoders import weights_sha256

    sha256 = known(f"fingerprints of {encoder.name}", lambda: weights_sha256(encoder))
    if sha256 is None:
        return {}
    return _of_images(evidence, listing, encoder, key)


def _of_images(
    evidence: Evidence, listing: Listing, encoder: EncoderConfig, key: str
) -> dict[str, str]:
    """Return the fingerprints of the features of images, by file.

    Features of images with other times and the same content keep theirs.
    """
    from pipeline.extract import feature_target, plan_features
    from pipeline.same_content import SameContent

    run = evidence.run
    directory = run.features_directory(encoder)
    target = feature_target(run.store, directory, listing, encoder, run.config.source)
    found = {}
    changed = []
    for plan in plan_features(target, key):
        name = plan.file(directory)
        found[name] = plan.fingerprint
        facts = evidence.facts.get(name)
        if facts is not None and facts.fingerprint != plan.fingerprint:
            changed.append(plan)
    for plan in SameContent(target, target.work.transform()).find(changed):
        name = plan.file(directory)
        found[name] = evidence.facts[name].fingerprint
    return found
