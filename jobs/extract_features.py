"""Read, decode and encode the images with Ray Data, one Parquet file per class: `python -m jobs.extract_features`."""

from jobs.cli import main
from jobs.prepare import prepare
from jobs.progress import Bar, note
from jobs.ray_env import start_ray
from jobs.run_directory import Run
from jobs.select_subset import check_budgets
from otcondense.encoders import EncoderConfig
from otcondense.store import fingerprint
from pipeline.extract import extract_features


def extract(run: Run) -> None:
    """Extract the features of every class with the encoder of the selection, and with the judge if there is one."""
    prepare(run)
    check_budgets(run)
    start_ray()
    for encoder in (run.config.encoder, run.config.judge):
        if encoder is not None:
            _extract(run, encoder)


def _extract(run: Run, encoder: EncoderConfig) -> None:
    title = f"extract {encoder.name}"
    with Bar(title, "image") as progress:
        result = extract_features(
            run.store.root,
            run.features_directory(encoder),
            run.config.source,
            encoder,
            run.config.extraction,
            fingerprint(run.features_key(encoder)),
            progress.show,
        )
    classes = result.classes_done + result.classes_skipped
    note(title, f"{result.num_images} images of {classes} classes, {result.classes_skipped} of them finished before")
    if result.num_quarantined:
        note(title, f"{result.num_quarantined} unreadable images, listed in {run.features_directory(encoder)}/_quarantine.parquet")
    if result.num_ignored:
        note(title, f"{result.num_ignored} files of the source are no images by their name")


if __name__ == "__main__":
    main("extract_features", __doc__, extract)
