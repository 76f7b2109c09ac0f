"""Read, decode and encode the images with Ray Data, one Parquet file per class: `python -m jobs.extract_features`."""

from jobs.cluster.start import start_ray
from jobs.command.progress import Progress, note
from jobs.extract_features.prepare import prepare
from jobs.run_directory.budgets import check_budgets
from jobs.run_directory.run import Run
from jobs.run_directory.stages import IMPORT_BAR, extraction_bar
from otcondense.datasets import scan_images
from otcondense.encoders import EncoderConfig
from otcondense.store import fingerprint
from pipeline.extract import extract_features
from pipeline.given_features import import_features
from pipeline.probe_scores import score_by_probe


def extract(run: Run) -> None:
    """Extract the features of every class with each network of the configuration, then the confidences that take a probe."""
    prepare(run)
    check_budgets(run)
    if run.config.extraction.num_encoders and run.config.encoders:
        start_ray()
    for encoder in run.config.encoders:
        _extract(run, encoder)
    if not run.config.source.has_images:
        _import(run)
    if run.config.confidence.kind == "probe":
        _probe(run)


def _extract(run: Run, encoder: EncoderConfig) -> None:
    title = f"extract {encoder.name}"
    if encoder.weights is None:
        note(
            title,
            "weights from timm's hub, unless they are on this machine; `encoder.weights` names a local file",
        )
    with Progress(run.store, *extraction_bar(encoder)) as progress:
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
    note(
        title,
        f"{result.num_images} images of {classes} classes, {result.classes_skipped} of them finished before",
    )
    if result.num_quarantined:
        note(
            title,
            f"{result.num_quarantined} unreadable images, listed in {run.features_directory(encoder)}/_quarantine.parquet",
        )
    if result.num_ignored:
        note(title, f"{result.num_ignored} files of the source are no images by their name")


def _import(run: Run) -> None:
    directory = run.features_directory(run.config.encoder)
    with Progress(run.store, *IMPORT_BAR) as progress:
        result = import_features(
            run.store.root,
            directory,
            run.config.source,
            fingerprint(run.features_key(run.config.encoder)),
            progress.show,
        )
    classes = result.classes_done + result.classes_skipped
    note(
        "import features",
        f"{result.num_images} rows of {classes} classes, {result.classes_skipped} of them finished before; no images",
    )


def _probe(run: Run) -> None:
    directory = run.confidence_directory()
    assert directory is not None
    source = scan_images(run.config.source)
    names = sorted({record.class_name for record in source.records})
    config, key = run.config.confidence.probe, fingerprint(run.probe_key())
    skipped = score_by_probe(
        run.store, run.features_directory(run.config.encoder), directory, names, config, key
    )
    note(
        "probe",
        f"confidences of {len(names)} classes in {directory}"
        + (", finished before" if skipped else ""),
    )
