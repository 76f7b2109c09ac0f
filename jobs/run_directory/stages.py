"""The table of stages: order, outputs, progress bars, and when each is part of a run.

`jobs.run`, the page, `jobs.verify`, `jobs.status` and the advice in errors all read this table.
A new stage is one folder `jobs/NAME/` and one entry here.
"""

from __future__ import annotations

import fnmatch
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jobs.run_directory.config import RunConfig
    from jobs.run_directory.run import Run
    from otcondense.encoders import EncoderConfig


class Bar(NamedTuple):
    """A progress bar: its file in `logs/progress/`, its title and the unit that it counts."""

    key: str
    title: str
    unit: str


@dataclass(frozen=True)
class Stage:
    """A stage of a run; `python -m jobs.NAME` runs it alone."""

    name: str
    """Name of the stage and of its verb."""
    summary: str
    """What it does, as `python -m jobs` prints it."""
    entry: str
    """`module:function` that runs it on a `Run`."""
    outputs: tuple[str, ...]
    """Patterns of the files it writes, relative to the run directory."""
    is_part_of: Callable[[RunConfig], bool]
    """Whether `jobs.run` includes it for a configuration."""
    bars: Callable[[RunConfig], Iterable[Bar]]
    """Its progress bars, in the order in which they appear."""
    bar_keys: tuple[str, ...] = ()
    """Patterns of the keys of its bars."""

    def run(self, run: Run) -> None:
        """Run the stage; finished work is skipped."""
        pkgutil.resolve_name(self.entry)(run)


def encoder_bar(encoder: EncoderConfig) -> Bar:
    """Return the bar of the training of one encoder."""
    return Bar(f"train-encoder-{encoder.name}", f"train encoder {encoder.name}", "epoch")


def extraction_bar(encoder: EncoderConfig) -> Bar:
    """Return the bar of the extraction with one encoder."""
    return Bar(f"extract_features-{encoder.name}", f"extract {encoder.name}", "image")


def training_bar(model: str, method: str) -> Bar:
    """Return the bar of the training of one model on one subset."""
    return Bar(f"train-{model}-{method}", f"train {model} on {method}", "step")


IMPORT_BAR = Bar("extract_features-given", "import features", "row")
SCORE_BAR = Bar("score", "score", "class")
SELECTION_BAR = Bar("select_subset", "select", "class")
LATENTS_BAR = Bar("extract_latents", "latents", "class")
TOKENS_BAR = Bar("extract_tokens", "tokens", "class")
SAMPLE_BAR = Bar("sample", "sample", "batch")
EVALUATION_BAR = Bar("evaluate", "evaluate", "set")


def _extraction_bars(config: RunConfig) -> Iterable[Bar]:
    for encoder in config.networks:
        if encoder.train is not None:
            yield encoder_bar(encoder)
    for encoder in config.encoders:
        yield extraction_bar(encoder)
    if not config.source.has_images:
        yield IMPORT_BAR


def _training_bars(config: RunConfig) -> Iterable[Bar]:
    for model, method in config.trainings:
        yield training_bar(model, method)


def _always(_: RunConfig) -> bool:
    return True


def _trains(config: RunConfig) -> bool:
    return bool(config.models)


def _scores_denoising(config: RunConfig) -> bool:
    return "denoising" in config.selection.score_kinds()


STAGES: tuple[Stage, ...] = (
    Stage(
        name="extract_features",
        summary="Decode and encode the images, one feature file per class",
        entry="jobs.extract_features.stage:extract",
        outputs=("features/*", "scores/probe-*"),
        is_part_of=_always,
        bars=_extraction_bars,
        bar_keys=("train-encoder-*", "extract_features-*"),
    ),
    Stage(
        name="score",
        summary="Score how hard each image is, for the methods that need it",
        entry="jobs.score.stage:score_difficulty",
        outputs=("scores/denoising-*", "scores/aum-*"),
        is_part_of=lambda config: bool(config.selection.score_kinds()),
        bars=lambda config: [SCORE_BAR] if _scores_denoising(config) else [],
        bar_keys=("score",),
    ),
    Stage(
        name="select_subset",
        summary="Choose the subset of every class",
        entry="jobs.select_subset.stage:select_subset",
        outputs=("selection/*", "subset-*"),
        is_part_of=_always,
        bars=lambda _: [SELECTION_BAR],
        bar_keys=("select_subset",),
    ),
    Stage(
        name="extract_latents",
        summary="Encode images to VAE latents for training",
        entry="jobs.extract_latents.stage:extract",
        outputs=("latents/*",),
        is_part_of=lambda config: "latents" in config.training_inputs,
        bars=lambda _: [LATENTS_BAR],
        bar_keys=("extract_latents",),
    ),
    Stage(
        name="extract_tokens",
        summary="Extract DINOv2 patch tokens for training",
        entry="jobs.extract_tokens.stage:extract",
        outputs=("tokens/*",),
        is_part_of=lambda config: "tokens" in config.training_inputs,
        bars=lambda _: [TOKENS_BAR],
        bar_keys=("extract_tokens",),
    ),
    Stage(
        name="extract_text",
        summary="Embed the class names for training",
        entry="jobs.extract_text.stage:extract",
        outputs=("text/*",),
        is_part_of=lambda config: "text" in config.training_inputs,
        bars=lambda _: [],
    ),
    Stage(
        name="train",
        summary="Train every configured model on its subsets",
        entry="jobs.train.stage:train",
        outputs=("training/*",),
        is_part_of=_trains,
        bars=_training_bars,
        bar_keys=("train-*",),
    ),
    Stage(
        name="sample",
        summary="Sample images from every checkpoint",
        entry="jobs.sample.stage:sample",
        outputs=("training/*/samples/*",),
        is_part_of=_trains,
        bars=lambda _: [SAMPLE_BAR],
        bar_keys=("sample",),
    ),
    Stage(
        name="evaluate",
        summary="Measure samples and subsets against held-out images",
        entry="jobs.evaluate.stage:evaluate",
        outputs=("training/*/metrics/*", "selection/*/quality-*"),
        is_part_of=_trains,
        bars=lambda _: [EVALUATION_BAR],
        bar_keys=("evaluate",),
    ),
    Stage(
        name="report",
        summary="Write the report, one self-contained HTML file",
        entry="jobs.report.stage:report",
        outputs=("report.html",),
        is_part_of=_always,
        bars=lambda _: [],
    ),
)
"""All stages, in the order of a run."""

TRAINING_INPUTS = ("extract_latents", "extract_tokens", "extract_text")
"""The stages that make inputs of the training other than pixels."""
OUTPUT_PREFIXES = tuple(
    {pattern.split("*")[0]: None for stage in STAGES for pattern in stage.outputs}
)
"""Prefixes of the names of all outputs."""


def stages_of(config: RunConfig) -> list[Stage]:
    """Return the stages that `jobs.run` runs for a configuration, in their order."""
    return [stage for stage in STAGES if stage.is_part_of(config)]


def bars_of(config: RunConfig) -> list[Bar]:
    """Return the progress bars of a run, in the order in which they appear."""
    return [bar for stage in stages_of(config) for bar in stage.bars(config)]


def place_of_bar(key: str) -> int:
    """Return the place in the table of the stage of a progress bar; unknown bars come last."""
    stage = _longest_match(key, lambda stage: stage.bar_keys)
    return len(STAGES) if stage is None else STAGES.index(stage)


def verb_of(name: str) -> str:
    """Return the verb that writes the file `name` of a run; `run` if it belongs to no stage."""
    stage = _longest_match(name, lambda stage: stage.outputs)
    return "run" if stage is None else stage.name


def _longest_match(name: str, patterns_of: Callable[[Stage], tuple[str, ...]]) -> Stage | None:
    """Return the stage with the longest pattern that matches, or None.

    The longest one decides, as samples lie in the directory of their training.
    """
    longest = ""
    found = None
    for stage in STAGES:
        for pattern in patterns_of(stage):
            if len(pattern) > len(longest) and fnmatch.fnmatchcase(name, pattern):
                longest = pattern
                found = stage
    return found
