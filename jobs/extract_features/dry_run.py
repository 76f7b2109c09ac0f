"""`--dry-run` of the extraction: its work, time, cost and memory."""

from pathlib import Path

from jobs.command.progress import note
from jobs.forecasts.caption_stages import CaptionForecast, caption_forecasts
from jobs.forecasts.finished import Finished, finished_features, finished_files
from jobs.forecasts.image_stages import feature_stage
from jobs.forecasts.known import Known, known_of
from jobs.forecasts.printing import print_time
from jobs.run_directory.bars import ALIGNMENT_BAR, extraction_bar
from jobs.run_directory.budgets import check_budgets
from jobs.run_directory.listing import run_listing, scan_source
from jobs.run_directory.run import Run
from otcondense.byte_sizes import byte_size
from otcondense.counts import counted
from otcondense.encoders import EncoderConfig
from otcondense.encoders.arithmetic import encoder_size
from otcondense.errors import InputError
from otcondense.forecast.stages import Stage
from pipeline.forecast import stored_bytes, worker_memory
from pipeline.shards import plan_shards


def forecast_features(run: Run, on: str | None = None) -> Known:
    """Print the cost of the extraction of features for each network; nothing is written.

    Args:
        run: the run.
        on: hardware, as `chosen_hardware` takes it.

    Returns: what the forecast of later stages needs too.

    Raises: InputError as the extraction does, for a source or a network that cannot be used.
    """
    digits = run.config.digits
    if digits is not None and not Path(run.config.source.path).exists():
        raise InputError(
            f"the digits are not written to {digits} yet, so there is nothing to sample; "
            "start the demo once without --dry-run"
        )
    scan_source(run)
    for sentence in check_budgets(run):
        note("select", sentence)
    known = known_of(run, on)
    if not run.config.extracting:
        rows = len(run_listing(run))
        note("import features", f"{rows} rows of {run.config.source.path}; no images, no encoder")
    for encoder in run.config.extracting:
        _print(run, encoder, known)
    for reading in _readings(run, known):
        _print_reading(run, reading, known)
    return known


def feature_stages(run: Run, known: Known) -> list[Stage]:
    """Return the work of each network, with the time of the classes that are left."""
    seen = [_rest(run, encoder, known) for encoder in run.config.extracting]
    return seen + [_read(run, each, known).rest(each.stage) for each in _readings(run, known)]


def _readings(run: Run, known: Known) -> list[CaptionForecast]:
    return list(caption_forecasts(run.config, known.facts, known.hardware))


def _read(run: Run, reading: CaptionForecast, known: Known) -> Finished:
    """Return how much of the work on captions is there."""
    directory = run.features_directory(reading.encoder)
    if reading.bar == ALIGNMENT_BAR:
        directory = str(run.confidence_directory())
    return finished_files(run, directory, list(known.facts.sizes))


def _print_reading(run: Run, reading: CaptionForecast, known: Known) -> None:
    note(reading.bar.title, reading.stage.title)
    finished = _read(run, reading, known)
    if finished.text:
        note("", finished.text)
    if not finished.is_all:
        note("", f"storage: {byte_size(reading.stored_bytes)}")
        print_time(finished.rest(reading.stage), known.hardware)


def _rest(run: Run, encoder: EncoderConfig, known: Known) -> Stage:
    stage = feature_stage(run.config, encoder, known.facts, known.hardware)
    return _finished(run, encoder, known).rest(stage)


def _finished(run: Run, encoder: EncoderConfig, known: Known) -> Finished:
    return finished_features(run, encoder, list(known.facts.sizes))


def _print(run: Run, encoder: EncoderConfig, known: Known) -> None:
    listing = run_listing(run)
    shards = plan_shards(listing, encoder.batch_size)
    batches = sum(-(-(each.stop - each.start) // encoder.batch_size) for each in shards)
    source = byte_size(int(listing.numbers("size_bytes").sum()))
    note(
        extraction_bar(run.config, encoder).title,
        f"{counted(len(listing), 'image')} of {counted(len(listing.names), 'class')}, {source}, "
        f"{counted(batches, 'batch')}",
    )
    finished = _finished(run, encoder, known)
    if finished.text:
        note("", finished.text)
    if finished.is_all:
        return
    memory = worker_memory(encoder)
    note(
        "",
        f"memory of a worker: {byte_size(memory.encoder)} for the encoder (weights and "
        f"inputs), {byte_size(memory.decoded)} for decoded images",
    )
    stored = len(listing) * stored_bytes(encoder_size(encoder))
    note("", f"storage: {byte_size(stored)} of features")
    sample = known.sample
    assert sample is not None, "a run with encoders has images"
    note(
        "",
        f"{1 / sample.seconds:.0f} images/s decoded in one thread here; "
        f"{sample.count} images sampled, {sample.unreadable} unreadable",
    )
    print_time(_rest(run, encoder, known), known.hardware)
