"""The work on the captions of a run, for the stage that does it and for the check of its files."""

from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.encoders import EncoderConfig
from otcondense.store import fingerprint
from pipeline.caption_work import CaptionWork


def caption_features_work(run: Run, encoder: EncoderConfig) -> CaptionWork:
    """Return what a text network reads and writes; its images are those of the first encoder."""
    return CaptionWork(
        store=run.store,
        captions=run.captions_file(),
        features=run.features_directory(run.config.encoder),
        directory=run.features_directory(encoder),
        class_names=run_listing(run).names,
        key=fingerprint(run.features_key(encoder)),
    )


def alignment_work(run: Run) -> CaptionWork:
    """Return what the comparison of images and captions reads and writes."""
    aligning, directory = run.config.confidence.aligning, run.confidence_directory()
    assert aligning is not None, "the confidence is of this kind"
    assert directory is not None, "such confidences are stored"
    return CaptionWork(
        store=run.store,
        captions=run.captions_file(),
        features=run.features_directory(aligning),
        directory=directory,
        class_names=run_listing(run).names,
        key=fingerprint(run.alignment_key()),
    )
