"""Print what an extraction would do: its work, and its time and memory from a timed sample."""

from pathlib import Path

from jobs.command.progress import note
from jobs.run_directory.budgets import check_budgets
from jobs.run_directory.run import Run
from otcondense.datasets import list_images
from otcondense.durations import duration
from otcondense.errors import InputError
from pipeline.forecast import ExtractionForecast, forecast_extraction

KILO = 1000
UNITS = ("bytes", "kB", "MB", "GB", "TB")


def forecast_features(run: Run) -> None:
    """Print the forecast of each encoder; nothing is written.

    Raises: InputError if there are no images yet.
    """
    config = run.config
    if config.digits is not None and not Path(config.source.path).exists():
        raise InputError(
            f"the digits are not written to {config.digits} yet, so there is nothing to sample; "
            "start the demo once without --dry-run"
        )
    check_budgets(run)
    if not config.encoders:
        rows = len(list_images(config.source))
        note("import features", f"{rows} rows of {config.source.path}; no images, no encoder")
    for encoder in config.encoders:
        forecast = forecast_extraction(config.source, encoder, config.extraction)
        _print(f"extract {encoder.name}", forecast)


def _print(title: str, forecast: ExtractionForecast) -> None:
    note(
        title,
        f"{forecast.num_images} images of {forecast.num_classes} classes, "
        f"{_size(forecast.source_bytes)}, {forecast.num_batches} batches",
    )
    note(
        "",
        f"memory: {_size(forecast.reader_bytes)} a reader, "
        f"{_size(forecast.encoder_bytes)} an encoder (weights and inputs)",
    )
    note("", f"storage: {_size(forecast.stored_bytes)} of features")
    note(
        "",
        f"time: {duration(forecast.seconds)} "
        f"({1 / forecast.decode_seconds:.0f} images/s decoded, "
        f"{forecast.encode_seconds:.3g} s a batch, each in one process; "
        f"{forecast.sampled} images sampled, {forecast.unreadable} unreadable)",
    )


def _size(count: int) -> str:
    value = float(count)
    for unit in UNITS[:-1]:
        if value < KILO:
            return f"{value:.3g} {unit}"
        value /= KILO
    return f"{value:.3g} {UNITS[-1]}"
