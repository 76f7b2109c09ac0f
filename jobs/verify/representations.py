"""Latents, tokens and text embeddings: extracted from the current images and classes."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.verify.evidence import Evidence, known
from jobs.verify.files import Problem
from otcondense.representations import RepresentationConfig
from otcondense.representations.text_config import CAPTIONS
from otcondense.store import class_file


def check_representations(evidence: Evidence) -> Iterator[Problem]:
    """Check the representations whose extraction has started.

    The weights are taken to be those that each file names: loading them could take gigabytes.
    """
    run = evidence.run
    yield from _check_images(evidence, "latents", run.config.latents)
    if run.config.latents.images != "source":
        # Scores need latents of all images.
        yield from _check_images(evidence, "latents", run.latents_of_all())
    yield from _check_images(evidence, "tokens", run.config.tokens)
    yield from _check_text(evidence)


def _check_images(evidence: Evidence, kind: str, config: RepresentationConfig) -> Iterator[Problem]:
    directory = evidence.run.representation_directory(kind, config)
    if not evidence.has_any(directory):
        return
    from jobs.representations.chosen import chosen_images
    from pipeline.represent import chosen_listing, plan_class
    from pipeline.representation_work import RepresentationWork

    source = evidence.listing
    if source is None:
        return
    max_pixels = evidence.run.config.source.max_pixels
    listing = known(
        f"images of {kind}",
        lambda: chosen_listing(source, chosen_images(evidence.run, config.images)),
    )
    if listing is None:
        return
    for class_name in listing.names:
        name = class_file(directory, class_name)
        facts = evidence.facts.get(name)
        expected = None
        if facts is not None:
            work = RepresentationWork(kind, config, facts.weights_sha256, "", max_pixels)
            expected = plan_class(listing, class_name, work).fingerprint
        yield from evidence.check(name, expected)


def _check_text(evidence: Evidence) -> Iterator[Problem]:
    if evidence.run.config.text.of == CAPTIONS:
        yield from _check_captions(evidence)
        return
    name = evidence.run.text_file()
    directory = evidence.run.text_directory()
    if evidence.classes and evidence.has_any(directory):
        yield from evidence.check(name, _text_fingerprint(evidence, name))


def _check_captions(evidence: Evidence) -> Iterator[Problem]:
    """Check the embeddings of captions, and that of no caption."""
    run = evidence.run
    if not evidence.has_any(run.text_directory()) or evidence.listing is None:
        return
    from jobs.representations.captions import caption_target
    from otcondense.representations.captions import no_caption_fingerprint
    from pipeline.represent import plan_class
    from pipeline.text_extraction import TextWork

    target = known("captions", lambda: caption_target(run))
    if target is None:
        return
    config = run.config.text
    for name in (run.no_caption_file(), *target.listing.names):
        is_class = name != run.no_caption_file()
        file = class_file(target.directory, name) if is_class else name
        facts = evidence.facts.get(file)
        expected = None
        if facts is not None and is_class:
            work = TextWork(target, config, facts.weights_sha256)
            expected = plan_class(target.listing, name, work).fingerprint
        elif facts is not None:
            expected = no_caption_fingerprint(config, facts.weights_sha256)
        yield from evidence.check(file, expected)


def _text_fingerprint(evidence: Evidence, name: str) -> str | None:
    from otcondense.representations.tables import text_fingerprint

    if name not in evidence.facts:
        return None
    config = evidence.run.config.text
    sha256 = evidence.facts[name].weights_sha256
    classes = dict(enumerate(evidence.classes))
    return known(
        "prompts of the text embeddings", lambda: text_fingerprint(config, sha256, classes)
    )
