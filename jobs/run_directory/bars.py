"""The progress bars of the stages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jobs.run_directory.config import RunConfig
    from otcondense.encoders import EncoderConfig


class Bar(NamedTuple):
    """A progress bar: its file in `logs/progress/`, its title and the unit that it counts."""

    key: str
    title: str
    unit: str


def encoder_bar(encoder: EncoderConfig) -> Bar:
    """Return the bar of the training of one encoder."""
    return Bar(f"train-encoder-{encoder.file_name}", f"train encoder {encoder.name}", "epoch")


def extraction_bar(config: RunConfig, encoder: EncoderConfig) -> Bar:
    """Return the bar of the extraction with one of the networks that see all images."""
    is_judge = encoder == config.judge and encoder not in config.selecting
    title = f"encode for the judge ({encoder.name})" if is_judge else f"extract {encoder.name}"
    return Bar(f"extract_features-{encoder.file_name}", title, "image")


def caption_bar(encoder: EncoderConfig) -> Bar:
    """Return the bar of one network that reads captions."""
    return Bar(f"extract_features-{encoder.file_name}", f"read captions {encoder.name}", "caption")


def training_bar(model: str, method: str) -> Bar:
    """Return the bar of the training of one model on one subset."""
    return Bar(f"train-{model}-{method}", f"train {model} on {method}", "step")


ALIGNMENT_BAR = Bar("extract_features-alignment", "compare images and captions", "image")
IMPORT_BAR = Bar("extract_features-given", "import features", "row")
SCORE_BAR = Bar("score", "score", "class")
GROUP_BAR = Bar("group", "group", "image")
SELECTION_BAR = Bar("select_subset", "select", "class")
GROUP_SELECTION_BAR = SELECTION_BAR._replace(unit="group")
PATHS_BAR = Bar("select_subset-paths", "paths of groups", "group")
POLISH_BAR = Bar("select_subset-polish", "polish groups", "choice")
LATENTS_BAR = Bar("extract_latents", "latents", "image")
TOKENS_BAR = Bar("extract_tokens", "tokens", "image")
CAPTIONS_BAR = Bar("extract_text", "text", "caption")
PIXELS_BAR = Bar("score-pixels", "pixels", "image")
SAMPLE_BAR = Bar("sample", "sample", "batch")
HELD_OUT_BAR = Bar("extract_features-held_out", "extract held-out images", "image")
DRAWS_BAR = Bar("evaluate-draws", "compare with random draws", "draw")
JUDGE_BAR = Bar("evaluate-images", "encode for evaluation", "image")
EVALUATION_BAR = Bar("evaluate", "evaluate", "set")


def caption_bars(config: RunConfig) -> Iterable[Bar]:
    """Yield the bar of the captions, if they are embedded; names of classes are few."""
    if config.text.of == "captions":
        yield CAPTIONS_BAR


def extraction_bars(config: RunConfig) -> Iterable[Bar]:
    """Yield the bars of the first stage: training of encoders, then extraction or import."""
    for encoder in config.networks:
        if encoder.train is not None:
            yield encoder_bar(encoder)
    for encoder in config.extracting:
        yield extraction_bar(config, encoder)
    for encoder in config.captioning:
        yield caption_bar(encoder)
    if not config.source.has_images:
        yield IMPORT_BAR
    if config.confidence.aligning is not None:
        yield ALIGNMENT_BAR


def training_bars(config: RunConfig) -> Iterable[Bar]:
    """Yield the bar of each training."""
    for model, method in config.trainings:
        yield training_bar(model, method)


def evaluation_bars(config: RunConfig) -> Iterable[Bar]:
    """Yield the bars of the evaluation: of random draws, then of samples; none without images."""
    from jobs.run_directory.config import BASELINE  # status does not load the configuration

    if config.held_out is None:
        return
    if config.num_draws and set(config.selection.methods) - {BASELINE}:
        yield HELD_OUT_BAR
        yield DRAWS_BAR
    if config.models:
        yield JUDGE_BAR
        yield EVALUATION_BAR


def selection_bar(config: RunConfig) -> Bar:
    """Return the bar of the selection, which counts classes or groups."""
    return SELECTION_BAR if config.groups is None else GROUP_SELECTION_BAR


def selection_bars(config: RunConfig) -> Iterable[Bar]:
    """Yield the bars of the selection, and of what is done for its groups before and after it."""
    if config.groups is not None and config.selection.allocation == "objective":
        yield PATHS_BAR
    yield selection_bar(config)
    if config.groups is not None and config.selection.polish:
        yield POLISH_BAR
