"""The forecast of what reads the captions of all images."""

from collections.abc import Iterator
from dataclasses import dataclass

from jobs.forecasts.image_stages import SourceFacts, extraction_workers
from jobs.run_directory.bars import ALIGNMENT_BAR, Bar, caption_bar
from jobs.run_directory.config import RunConfig
from otcondense.counts import counted
from otcondense.encoders import EncoderConfig
from otcondense.encoders.caption_size import caption_size
from otcondense.forecast.encoding import ReadingWork, reading_stage
from otcondense.forecast.hardware import Hardware
from otcondense.forecast.stages import Stage
from pipeline.forecast import FLOAT32_BYTES, OTHER_COLUMNS_BYTES

CONFIDENCES = 3
"""Numbers that are stored of an image which is compared with captions."""


@dataclass(frozen=True)
class CaptionForecast:
    """One network that reads the captions of all images."""

    bar: Bar
    encoder: EncoderConfig
    stored_bytes: int
    """Of all results."""
    stage: Stage


def caption_forecasts(
    config: RunConfig, facts: SourceFacts, hardware: Hardware
) -> Iterator[CaptionForecast]:
    """Yield the features of captions of each network, and the agreement of images and captions.

    Raises: InputError if there is no such network.
    """
    for encoder in config.captioning:
        size = caption_size(encoder)
        work = ReadingWork(
            title=_title(encoder, facts),
            captions=facts.images,
            flops=size.flops,
            stored_bytes=FLOAT32_BYTES * size.width + OTHER_COLUMNS_BYTES,
        )
        yield _forecast(config, caption_bar(encoder), encoder, work, hardware)
    aligning = config.confidence.aligning
    if aligning is not None:
        size = caption_size(aligning, joint=True)
        work = ReadingWork(
            title=_title(aligning, facts),
            captions=facts.images,
            flops=size.flops,
            stored_bytes=FLOAT32_BYTES * CONFIDENCES + OTHER_COLUMNS_BYTES,
            shared=min(config.confidence.alignment.others, facts.images),
            width=size.width,
        )
        yield _forecast(config, ALIGNMENT_BAR, aligning, work, hardware)


def _title(encoder: EncoderConfig, facts: SourceFacts) -> str:
    return f"{counted(facts.images, 'caption')} read by {encoder.name}"


def _forecast(
    config: RunConfig, bar: Bar, encoder: EncoderConfig, work: ReadingWork, hardware: Hardware
) -> CaptionForecast:
    workers = extraction_workers(config.extraction, hardware, encoder.device)
    stage = reading_stage(work, hardware, workers)
    return CaptionForecast(bar, encoder, work.captions * work.stored_bytes, stage)
