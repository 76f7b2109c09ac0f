"""The table of stages: order, outputs, progress bars, and when each is part of a run.

`otcondense run`, `verify` and `status`, the page, and the advice in errors all read this table.
A new stage is one folder `jobs/NAME/` and one entry here.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from jobs.run_directory.bars import (
    GROUP_BAR,
    HELD_OUT_BAR,
    LATENTS_BAR,
    SAMPLE_BAR,
    SCORE_BAR,
    TOKENS_BAR,
    Bar,
    caption_bars,
    evaluation_bars,
    extraction_bars,
    selection_bars,
    training_bars,
)

if TYPE_CHECKING:
    from jobs.run_directory.config import RunConfig
    from jobs.run_directory.run import Run


class Access(Enum):
    """What a verb needs of a run directory."""

    STARTS = "starts a run, or goes on with one"
    WORKS = "needs a run; one driver at a time"
    READS = "needs a run; also while another command works on it"


@dataclass(frozen=True)
class Stage:
    """A stage of a run; `otcondense NAME` runs it alone."""

    name: str
    """Name of the stage and of its verb."""
    summary: str
    """What it does, as `otcondense` prints it."""
    entry: str
    """`module:function` that runs it on a `Run`."""
    outputs: tuple[str, ...]
    """Patterns of the files it writes, relative to the run directory; they match no others, as
    `--fresh` deletes what they match."""
    is_part_of: Callable[[RunConfig], bool]
    """Whether `otcondense run` includes it for a configuration."""
    bars: Callable[[RunConfig], Iterable[Bar]]
    """Its progress bars, in the order in which they appear."""
    bar_keys: tuple[str, ...] = ()
    """Patterns of the keys of its bars."""
    uses: tuple[str, ...] = ()
    """Stages whose results it reads."""
    access: Access = Access.WORKS
    """What it needs of the run directory."""

    def run(self, run: Run) -> None:
        """Run the stage; finished work is skipped."""
        pkgutil.resolve_name(self.entry)(run)


def _always(_: RunConfig) -> bool:
    return True


def _trains(config: RunConfig) -> bool:
    return bool(config.models)


def _measures(config: RunConfig) -> bool:
    return bool(config.models) or config.num_draws > 0


def _scores_denoising(config: RunConfig) -> bool:
    return "denoising" in config.selection.score_kinds()


HASH = "{hash}"
"""Stands for the hash that the names of all results carry."""
CLASS_PART = f"-{HASH}/class_name=*/part-*.parquet"
"""End of the names of results with one file for each class, or several for a large one."""
STEP = "{step}"
"""Stands for the number of a step or a shard."""
SHARD_PART = f"-{HASH}/_shards/{STEP}.parquet"
"""End of the names of the files of shards, which lie there until all classes are written."""
PARTS = {r"\*": "[^/]+", r"\{hash\}": "[0-9a-f]{8}", r"\{step\}": "[0-9]{6,}"}
"""Regular expressions of what stands for a part of a name; `*` is anything within one folder."""

TRAINING_INPUTS = ("extract_latents", "extract_tokens", "extract_text")
"""The stages that make inputs of the training other than pixels."""

STAGES: tuple[Stage, ...] = (
    Stage(
        name="extract_features",
        summary="Decode and encode the images, one feature file per class",
        entry="jobs.extract_features.stage:extract",
        outputs=(
            f"features/*{CLASS_PART}",
            f"features/*-{HASH}/class_name=*/_quarantine.json",
            f"features/*-{HASH}/class_name=*/_quarantine-*.json",
            f"features/*-{HASH}/_quarantine.parquet",
            f"features/*{SHARD_PART}",
            f"scores/probe{CLASS_PART}",
            f"scores/alignment{CLASS_PART}",
            f"scores/alignment{SHARD_PART}",
            f"listing/source-{HASH}.parquet",
            f"listing/others-{HASH}.parquet",
            f"listing/captions-{HASH}.parquet",
        ),
        is_part_of=_always,
        bars=extraction_bars,
        bar_keys=("train-encoder-*", "extract_features-*"),
        access=Access.STARTS,
    ),
    Stage(
        name="score",
        summary="Score how hard each image is, for the methods that need it",
        entry="jobs.score.stage:score_difficulty",
        outputs=(
            f"scores/denoising{CLASS_PART}",
            f"scores/aum{CLASS_PART}",
            f"pixels/*{CLASS_PART}",
            f"pixels/*{SHARD_PART}",
        ),
        is_part_of=lambda config: bool(config.selection.score_kinds()),
        bars=lambda config: [SCORE_BAR] if _scores_denoising(config) else [],
        bar_keys=("score", "score-pixels"),
        uses=("extract_features",),
    ),
    Stage(
        name="group",
        summary="Group the images, so that no selection sees too many at once",
        entry="jobs.group.stage:group",
        outputs=(
            f"groups/{HASH}/groups.parquet",
            f"groups/{HASH}/class_name=*/part-0.parquet",
            f"groups/{HASH}/scores/*{CLASS_PART}",
            f"groups/{HASH}/_levels/*.parquet",
        ),
        is_part_of=lambda config: config.groups is not None,
        bars=lambda _: [GROUP_BAR],
        bar_keys=("group",),
        uses=("extract_features", "score"),
    ),
    Stage(
        name="select_subset",
        summary="Choose the subset of every class",
        entry="jobs.select_subset.stage:select_subset",
        outputs=(
            f"selection/*-{HASH}/class_name=*/selection.parquet",
            f"subset-*-{HASH}.parquet",
            f"held_out/sha256-{HASH}.parquet",
        ),
        is_part_of=_always,
        bars=selection_bars,
        bar_keys=("select_subset", "select_subset-paths"),
        uses=("extract_features", "score", "group"),
    ),
    Stage(
        name="extract_latents",
        summary="Encode images to VAE latents for training",
        entry="jobs.extract_latents.stage:extract",
        outputs=(f"latents/*{CLASS_PART}", f"latents/*{SHARD_PART}"),
        is_part_of=lambda config: "latents" in config.training_inputs,
        bars=lambda _: [LATENTS_BAR],
        bar_keys=("extract_latents",),
        uses=("select_subset",),
    ),
    Stage(
        name="extract_tokens",
        summary="Extract DINOv2 patch tokens for training",
        entry="jobs.extract_tokens.stage:extract",
        outputs=(f"tokens/*{CLASS_PART}", f"tokens/*{SHARD_PART}"),
        is_part_of=lambda config: "tokens" in config.training_inputs,
        bars=lambda _: [TOKENS_BAR],
        bar_keys=("extract_tokens",),
        uses=("select_subset",),
    ),
    Stage(
        name="extract_text",
        summary="Embed the class names or the captions for training",
        entry="jobs.extract_text.stage:extract",
        outputs=(
            f"text/{HASH}/embeddings.parquet",
            f"text/{HASH}/no_caption.parquet",
            f"text/{HASH}/class_name=*/part-0.parquet",
            f"text/{HASH}/_shards/{STEP}.parquet",
        ),
        is_part_of=lambda config: "text" in config.training_inputs,
        bars=caption_bars,
        bar_keys=("extract_text",),
        uses=("select_subset",),
    ),
    Stage(
        name="train",
        summary="Train every configured model on its subsets",
        entry="jobs.train.stage:train",
        outputs=(
            f"training/images-*-{HASH}.parquet",
            f"training/*-{HASH}/metrics.jsonl",
            f"training/*-{HASH}/best.json",
            f"training/*-{HASH}/held_out_loss.json",
            f"training/*-{HASH}/checkpoints/step-{STEP}/state.json",
            f"training/*-{HASH}/checkpoints/step-{STEP}/*.safetensors",
            f"training/*-{HASH}/grids/step-{STEP}.png",
            f"logs/training/*-{HASH}/steps.jsonl",
            f"logs/training/*-{HASH}/tensorboard/events.out.tfevents.*",
        ),
        is_part_of=_trains,
        bars=training_bars,
        bar_keys=("train-*",),
        uses=("select_subset", *TRAINING_INPUTS),
    ),
    Stage(
        name="sample",
        summary="Sample images from every checkpoint",
        entry="jobs.sample.stage:sample",
        outputs=(
            f"training/*-{HASH}/samples/{STEP}-{HASH}/part-*.parquet",
            f"training/*-{HASH}/samples/prompts-{HASH}.parquet",
        ),
        is_part_of=_trains,
        bars=lambda _: [SAMPLE_BAR],
        bar_keys=("sample",),
        uses=("train",),
    ),
    Stage(
        name="evaluate",
        summary="Measure samples and subsets against held-out images",
        entry="jobs.evaluate.stage:evaluate",
        outputs=(
            f"training/*-{HASH}/metrics/{STEP}-{HASH}.json",
            f"selection/*-{HASH}/quality-{HASH}.json",
            f"selection/*-{HASH}/draws-{HASH}.json",
            f"evaluation/*{CLASS_PART}",
            f"evaluation/*{SHARD_PART}",
            f"evaluation/*-{HASH}/{STEP}.parquet",
            f"held_out/pixels-{HASH}.parquet",
        ),
        is_part_of=_measures,
        bars=evaluation_bars,
        bar_keys=("evaluate", "evaluate-images", "evaluate-draws", HELD_OUT_BAR.key),
        uses=("select_subset", "sample"),
    ),
    Stage(
        name="report",
        summary="Write the report, one self-contained HTML file",
        entry="jobs.report.stage:report",
        outputs=("report.html", f"thumbnails/*-{HASH}.parquet"),
        is_part_of=_always,
        bars=lambda _: [],
        uses=("select_subset", "train", "sample", "evaluate"),
        access=Access.READS,
    ),
)
"""All stages, in the order of a run."""

ALL = "run"
"""The verb that runs all stages."""
SWEEPS = "sweeps/"
"""Prefix of the files of `otcondense sweep` and `otcondense compare`, which are no stages."""


def with_dependents(name: str, config: RunConfig) -> list[Stage]:
    """Return a stage and all stages of a run that use its results, in their order.

    A stage that is no part of the run has results of its own, but nothing of the run uses them.
    """
    names: set[str] = set()
    found = []
    for stage in STAGES:
        is_used = stage.is_part_of(config)
        if stage.name == name or (is_used and names & set(stage.uses)):
            found.append(stage)
            if is_used:
                names.add(stage.name)
    return found


def is_result(name: str) -> bool:
    """Tell whether a file of a run is an output of a stage, by its name."""
    return any(matches(name, pattern) for stage in STAGES for pattern in stage.outputs)


def matches(name: str, pattern: str) -> bool:
    """Tell whether the name of a file has the form of a pattern of outputs or bars."""
    regex = re.escape(pattern)
    for part, meaning in PARTS.items():
        regex = regex.replace(part, meaning)
    return re.fullmatch(regex, name) is not None


def stages_of(config: RunConfig) -> list[Stage]:
    """Return the stages that `otcondense run` runs for a configuration, in their order."""
    return [stage for stage in STAGES if stage.is_part_of(config)]


def bars_of(config: RunConfig) -> list[Bar]:
    """Return the progress bars of a run, in the order in which they appear."""
    return [bar for stage in stages_of(config) for bar in stage.bars(config)]


def place_of_bar(key: str) -> int:
    """Return the place in the table of the stage of a progress bar; unknown bars come last."""
    stage = _longest_match(key, lambda stage: stage.bar_keys)
    return len(STAGES) if stage is None else STAGES.index(stage)


def verb_of(name: str) -> str:
    """Return the stage that writes the file `name` of a run; `run` if it belongs to no stage."""
    stage = _longest_match(name, lambda stage: stage.outputs)
    return "run" if stage is None else stage.name


def command_of(name: str) -> str:
    """Return the command that writes the file `name` of a run, in words.

    The names of files do not tell sweeps and comparisons apart.
    """
    if name.startswith(SWEEPS):
        return "`otcondense sweep` or `otcondense compare`, whichever made it,"
    return f"`otcondense {verb_of(name)}`"


def _longest_match(name: str, patterns_of: Callable[[Stage], tuple[str, ...]]) -> Stage | None:
    """Return the stage with the longest pattern that matches, or None.

    The longest one decides, as samples lie in the directory of their training.
    """
    longest = ""
    found = None
    for stage in STAGES:
        for pattern in patterns_of(stage):
            if len(pattern) > len(longest) and matches(name, pattern):
                longest = pattern
                found = stage
    return found
