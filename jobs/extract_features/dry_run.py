"""`--dry-run` of the extraction: its work, time and memory, from a timed sample."""

from pathlib import Path

from jobs.command.progress import note
from jobs.run_directory.budgets import check_budgets
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.byte_sizes import byte_size
from otcondense.durations import duration
from otcondense.errors import InputError
from pipeline.forecast import ExtractionForecast, forecast_extraction


def forecast_features(run: Run) -> None:
    """Print the cost of the extraction of features for each network; nothing is written."""
    source = run.config.source
    digits = run.config.digits
    if digits is not None and not Path(source.path).exists():
        raise InputError(
            f"the digits are not written to {digits} yet, so there is nothing to sample; "
            "start the demo once without --dry-run"
        )
    for sentence in check_budgets(run):
        note("select", sentence)
    if not run.config.encoders:
        rows = len(run_listing(run))
        note("import features", f"{rows} rows of {source.path}; no images, no encoder")
    for encoder in run.config.encoders:
        found = forecast_extraction(source, encoder, run.config.extraction)
        _print(f"extract {encoder.name}", found)


def _print(title: str, found: ExtractionForecast) -> None:
    note(
        title,
        f"{found.num_images} images of {found.num_classes} classes, "
        f"{byte_size(found.source_bytes)}, {found.num_batches} batches",
    )
    note(
        "",
        f"memory of a worker: {byte_size(found.encoder_bytes)} for the encoder (weights and "
        f"inputs), {byte_size(found.decoded_bytes)} for decoded images",
    )
    note("", f"storage: {byte_size(found.stored_bytes)} of features")
    note(
        "",
        f"time: {duration(found.seconds)} ({1 / found.decode_seconds:.0f} images/s decoded, "
        f"{found.encode_seconds:.3g} s a batch, each in one process; "
        f"{found.sampled} images sampled, {found.unreadable} unreadable)",
    )
