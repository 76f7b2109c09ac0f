"""Read, decode and encode the images with Ray Data: one Parquet file per class."""

from pathlib import Path

from jobs.cluster.start import start_ray
from jobs.command.progress import Progress, note
from jobs.command.wording import EARLIER, earlier_part
from jobs.extract_features.prepare import prepare
from jobs.run_directory.bars import ALIGNMENT_BAR, IMPORT_BAR, caption_bar, extraction_bar
from jobs.run_directory.budgets import check_budgets
from jobs.run_directory.encoder_rules import unused_for_given
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from jobs.work_units.captions import alignment_work, caption_features_work
from otcondense.counts import counted
from otcondense.datasets.labels import shorten
from otcondense.encoders import EncoderConfig
from otcondense.store import fingerprint
from pipeline.caption_run import CaptionResult, encode_captions, score_by_alignment
from pipeline.classifier_check import worse_than_chance
from pipeline.extract import ExtractionResult, extract_listed, feature_target
from pipeline.given_features import import_features
from pipeline.probe_scores import score_by_probe


def extract(run: Run) -> None:
    """Extract the features of every class with each encoder, then the confidences of probes."""
    prepare(run)
    for sentence in check_budgets(run):
        note("select", sentence)
    if run.config.extraction.uses_cluster and run.config.extracting:
        start_ray()
    for encoder in run.config.extracting:
        _extract(run, encoder)
    for encoder in run.config.captioning:
        _read_captions(run, encoder)
    if not run.config.source.has_images:
        _import(run)
    if run.config.confidence.kind == "probe":
        _probe(run)
    if run.config.confidence.kind == "alignment":
        _align(run)


def _extract(run: Run, encoder: EncoderConfig) -> None:
    bar = extraction_bar(run.config, encoder)
    title = bar.title
    origin = _origin(encoder)
    if origin:
        note(title, origin)
    directory = run.features_directory(encoder)
    source = run.config.source
    with Progress(run.store, *bar) as progress:
        result = extract_listed(
            feature_target(run.store, directory, run_listing(run), encoder, source),
            fingerprint(run.features_key(encoder)),
            run.config.extraction,
            source.max_lost_share,
            progress.show,
            run.config.cluster,
        )
        progress.lose(result.num_quarantined)
    note(title, f"{counted(result.num_images, 'image')} of {_classes(result)}")
    if result.classes_recognised:
        note(
            title,
            f"{counted(result.classes_recognised, 'class')} with images of other times and the "
            "same content: their features were kept",
        )
    _warn_of_order(run, encoder, title)
    if result.num_quarantined:
        note(
            title,
            f"{counted(result.num_quarantined, 'unreadable image')}, listed in "
            f"{directory}/_quarantine.parquet",
        )
    if result.num_ignored:
        note(
            title,
            f"{counted(result.num_ignored, 'file')} of the source ignored: no images by their "
            "name, hidden, or outside the class folders",
        )


def _origin(encoder: EncoderConfig) -> str:
    """Return where the weights come from; empty for a file or folder that the name says."""
    if encoder.is_own_code:
        return "runs this function of yours, which the configuration names"
    place = encoder.transformers_name
    if not encoder.is_pretrained or (place is not None and Path(place).is_dir()):
        return ""
    local = "`encoder.weights` names a local file"
    if place is not None:
        local = "the name can also be that of a folder"
    return f"weights from the hub, unless they are on this machine; {local}"


def _warn_of_order(run: Run, encoder: EncoderConfig, title: str) -> None:
    """Name the classes for which a classifier is worse than a guess."""
    classes = encoder.classes()
    if not classes:
        return
    names = run_listing(run).names
    found = worse_than_chance(run.store, run.features_directory(encoder), names, classes)
    if found is None:
        return
    note(
        title,
        f"mean cross-entropy above {found.chance:.2f} nats, which is chance for {classes} classes, "
        f"in {len(found.names)} of {len(names)} classes: {shorten(found.names)} "
        f"(up to {found.largest:.2f}); if the classifier counts its classes in another order than "
        "the names of the folders, list them in a file and set source.class_names",
    )


def _classes(result: ExtractionResult) -> str:
    classes = result.classes_done + result.classes_skipped
    return counted(classes, "class") + earlier_part(result.classes_skipped, classes, "class")


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
    note("import features", f"{counted(result.num_images, 'row')} of {_classes(result)}; no images")
    unused = [f"encoder.{name}" for name in unused_for_given(run.config.encoder)]
    if unused:
        words = f"{', '.join(unused)} say how images become features"
        note("import features", f"{words}: not used, since the features are given")


def _read_captions(run: Run, encoder: EncoderConfig) -> None:
    bar = caption_bar(encoder)
    with Progress(run.store, *bar) as progress:
        result = encode_captions(
            caption_features_work(run, encoder),
            encoder,
            run.config.extraction,
            progress.show,
            run.config.cluster,
        )
    _note_classes(bar.title, result)


def _align(run: Run) -> None:
    with Progress(run.store, *ALIGNMENT_BAR) as progress:
        result = score_by_alignment(
            alignment_work(run),
            run.config.confidence.alignment,
            run.config.extraction,
            progress.show,
            run.config.cluster,
        )
    _note_classes(ALIGNMENT_BAR.title, result)


def _note_classes(title: str, result: CaptionResult) -> None:
    earlier = earlier_part(result.classes_skipped, result.classes, "class")
    note(title, counted(result.classes, "class") + earlier)


def _probe(run: Run) -> None:
    directory = run.confidence_directory()
    assert directory is not None
    names = run_listing(run).names
    is_skipped = score_by_probe(
        run.store,
        run.features_view(),
        directory,
        names,
        run.config.confidence.probe,
        fingerprint(run.probe_key()),
    )
    ending = f", {EARLIER}" if is_skipped else ""
    note("probe", f"confidences of {counted(len(names), 'class')} in {directory}{ending}")
