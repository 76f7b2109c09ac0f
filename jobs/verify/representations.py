"""Latents, tokens and text embeddings: extracted from the current images and classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from jobs.verify.evidence import Evidence, known
from jobs.verify.files import Problem
from otcondense.representations import RepresentationConfig
from otcondense.store import class_file

if TYPE_CHECKING:
    from actors.extractor import EncodeUnit


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
    from jobs.work_units.representations import image_units

    units = known(f"images of {kind}", lambda: image_units(evidence.run, kind, config)) or []
    for unit in units:
        name = class_file(directory, unit.class_name)
        yield from evidence.check(name, _class_fingerprint(evidence, name, config, unit))


def _class_fingerprint(
    evidence: Evidence, name: str, config: RepresentationConfig, unit: EncodeUnit
) -> str | None:
    from otcondense.representations.tables import class_fingerprint

    if name not in evidence.facts:
        return None
    images = sorted(unit.images, key=lambda image: image.image_id)
    sha256 = evidence.facts[name].weights_sha256
    return class_fingerprint(config, sha256, unit.class_name, images)


def _check_text(evidence: Evidence) -> Iterator[Problem]:
    name = evidence.run.text_file()
    directory = name.rsplit("/", 1)[0]
    if evidence.classes and evidence.has_any(directory):
        yield from evidence.check(name, _text_fingerprint(evidence, name))


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
