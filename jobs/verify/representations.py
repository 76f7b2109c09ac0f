"""Latents, tokens and text embeddings: made from the images and classes that the run has now."""

from collections.abc import Iterator

from jobs.verify.evidence import Evidence, known
from jobs.verify.files import Problem
from jobs.work_units.representations import image_units
from otcondense.datasets.images import WantedImage
from otcondense.representations import RepresentationConfig
from otcondense.representations.tables import class_fingerprint, text_fingerprint
from otcondense.store import class_file


def check_representations(evidence: Evidence) -> Iterator[Problem]:
    """Check what has been begun; the weights are taken to be those that each file names, since loading them could take gigabytes."""
    config = evidence.run.config
    of_all = (
        [] if config.latents.images == "source" else [evidence.run.latents_of_all()]
    )  # what scores were made from
    for kind, each in [
        ("latents", config.latents),
        *(("latents", every) for every in of_all),
        ("tokens", config.tokens),
    ]:
        yield from _check_images(evidence, kind, each)
    name = evidence.run.text_file()
    if evidence.classes and evidence.has_any(name.rsplit("/", 1)[0]):
        yield from evidence.check(name, "extract_text", _text_fingerprint(evidence, name))


def _check_images(evidence: Evidence, kind: str, config: RepresentationConfig) -> Iterator[Problem]:
    directory = evidence.run.representation_directory(kind, config)
    if not evidence.has_any(directory):
        return
    for unit in known(f"images of {kind}", lambda: image_units(evidence.run, kind, config)) or []:
        name = class_file(directory, unit["class_name"])
        expected = None
        if name in evidence.facts:
            images = sorted(
                (WantedImage(**image) for image in unit["images"]), key=lambda image: image.image_id
            )
            expected = class_fingerprint(
                config, evidence.facts[name].weights_sha256, unit["class_name"], images
            )
        yield from evidence.check(name, f"extract_{kind}", expected)


def _text_fingerprint(evidence: Evidence, name: str) -> str | None:
    if name not in evidence.facts:
        return None
    sha256 = evidence.facts[name].weights_sha256
    classes = dict(enumerate(evidence.classes))
    return known(
        "prompts of the text embeddings",
        lambda: text_fingerprint(evidence.run.config.text, sha256, classes),
    )
