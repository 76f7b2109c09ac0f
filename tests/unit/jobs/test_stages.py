"""The table of stages: entries, outputs that match the names of a run, and order."""

import importlib
import pkgutil
from pathlib import Path

import pytest

from jobs.answers.draws import draws_file
from jobs.command.settings import load_config
from jobs.command.verbs import VERBS
from jobs.run_directory.bars import IMPORT_BAR, encoder_bar, extraction_bar, training_bar
from jobs.run_directory.results import subset_quality_file
from jobs.run_directory.run import REPORT, Run
from jobs.run_directory.stages import (
    STAGES,
    Stage,
    bars_of,
    command_of,
    matches,
    place_of_bar,
    stages_of,
    verb_of,
)
from jobs.thumbnails.stored import thumbnails_file
from otcondense.datasets.stored import listing_file, others_file
from otcondense.encoders import EncoderConfig
from otcondense.store import class_file, groups_file, selection_file
from pipeline.quarantine import class_quarantine_file
from pipeline.shard_files import shard_file

EVERYTHING = [
    "source.path=images",
    "source.captions=txt",
    "held_out.path=others",
    "selection.methods=[geometry_aware, ccs, d2c]",
    "scores.denoising.checkpoint=scorer",
    "models.l2.training.subsets=[geometry_aware]",
    "groups.most=1000",
    "models.l2.training.text=captions",
    "text.of=captions",
]
"""A run with every stage: the paper's configuration with methods that need both kinds of scores."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    directory = str(tmp_path_factory.mktemp("stages") / "run")
    return Run(load_config("jobs/configs/imagenet-10k.yaml", EVERYTHING, directory))


@pytest.fixture(scope="module")
def files(run: Run) -> dict[str, list[str]]:
    """The names of the files of each stage, as `Run` gives them."""
    (model, method, step) = run.checkpoints()[-1]
    features = run.features_directory(run.config.encoder)
    training = run.training_directory(model, method)
    selection = run.selection_directory(method)
    latents = run.representation_directory("latents", run.config.latents)
    tokens = run.representation_directory("tokens", run.config.tokens)
    return {
        "extract_features": [
            class_file(features, "a"),
            f"{features}/_quarantine.parquet",
            shard_file(features, 0),
            class_file(features, "a", 12),
            class_quarantine_file(features, "a"),
            class_quarantine_file(features, "a", 12),
            class_file("scores/probe-0a1b2c3d", "a"),
            class_file("scores/alignment-0a1b2c3d", "a"),
            shard_file("scores/alignment-0a1b2c3d", 3),
            listing_file(run.config.source),
            others_file(run.config.source),
            run.captions_file(),
        ],
        "score": [
            *(class_file(run.scores_directory(kind), "a") for kind in ("denoising", "aum")),
            class_file(run.pixels_directory(), "a"),
            shard_file(run.pixels_directory(), 12),
        ],
        "group": [
            groups_file(str(run.groups_directory())),
            class_file(str(run.groups_directory()), "a~1"),
            class_file(str(run.selection_difficulties("ccs")), "a~1"),
            f"{run.groups_directory()}/_levels/rows-1-000000-000000.parquet",
        ],
        "select_subset": [
            selection_file(selection, "a"),
            run.manifest(method),
            str(run.held_out_hashes()),
        ],
        "extract_latents": [class_file(latents, "a"), shard_file(latents, 1)],
        "extract_tokens": [class_file(tokens, "a"), shard_file(tokens, 1)],
        "extract_text": [
            run.text_file(),
            run.no_caption_file(),
            class_file(run.text_directory(), "a"),
            shard_file(run.text_directory(), 2),
        ],
        "train": [
            run.images_file(method),
            f"{training}/metrics.jsonl",
            f"{training}/best.json",
            f"{training}/held_out_loss.json",
            f"{training}/checkpoints/step-000010/state.json",
            f"{training}/checkpoints/step-000010/optimizer.safetensors",
            f"logs/{training}/steps.jsonl",
            f"logs/{training}/tensorboard/events.out.tfevents.1",
            f"{training}/grids/step-000010.png",
        ],
        "sample": [
            f"{run.samples_directory(model, method, step)}/part-00000.parquet",
            run.prompts_file(model, method),
        ],
        "evaluate": [
            run.metrics_file(model, method, step),
            subset_quality_file(run, method),
            draws_file(run, method),
            class_file("evaluation/held_out-inception-0a1b2c3d", "a"),
            shard_file("evaluation/chosen-inception-0a1b2c3d", 3),
            "evaluation/l2-geometry_aware-0a1b2c3d-inception-0a1b2c3d/000007.parquet",
            run.held_out_pixels_file(),
        ],
        "report": [REPORT, thumbnails_file(run, method)],
    }


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_stage_has_a_verb_an_entry_and_the_outputs_of_a_run(
    stage: Stage, files: dict[str, list[str]]
) -> None:
    assert stage.name in VERBS
    assert VERBS[stage.name].takes_config
    importlib.import_module(f"jobs.{stage.name}.__main__")
    assert callable(pkgutil.resolve_name(stage.entry))
    assert stage.entry.split(":")[0] == f"jobs.{stage.name}.stage"
    for pattern in stage.outputs:
        matching = [name for name in files[stage.name] if matches(name, pattern)]
        assert matching, f"{pattern} matches none of {files[stage.name]}"


def test_every_file_of_a_run_belongs_to_the_stage_that_writes_it(
    files: dict[str, list[str]],
) -> None:
    assert list(files) == [stage.name for stage in STAGES]
    for verb, names in files.items():
        assert {name: verb_of(name) for name in names} == dict.fromkeys(names, verb)


def test_a_file_of_a_sweep_may_be_one_of_a_comparison() -> None:
    assert "`otcondense sweep` or `otcondense compare`" in command_of("sweeps/a-0a1b2c3d/x.json")
    assert command_of("report.html") == "`otcondense report`"


def test_other_files_belong_to_the_run_itself() -> None:
    assert {verb_of(name) for name in ("config.yaml", "logs/progress/x.json")} == {"run"}


def test_a_run_with_everything_has_every_stage_in_the_order_of_the_table(run: Run) -> None:
    assert stages_of(run.config) == list(STAGES)


def test_the_demo_needs_neither_scores_nor_latents_tokens_or_text() -> None:
    demo = load_config("jobs/configs/demo.yaml", [])
    assert [stage.name for stage in stages_of(demo)] == [
        "extract_features",
        "select_subset",
        "train",
        "sample",
        "evaluate",
        "report",
    ]


def test_progress_bars_appear_in_the_order_of_the_stages(run: Run) -> None:
    bars = bars_of(run.config)
    places = [place_of_bar(bar.key) for bar in bars]
    assert places == sorted(places)
    assert set(places) == {place for place, stage in enumerate(STAGES) if stage.bar_keys}
    extraction = [extraction_bar(run.config, encoder) for encoder in run.config.extracting]
    assert bars[: len(extraction)] == extraction
    trainings = [bar for bar in bars if bar.key.startswith("train-")]
    assert trainings == [training_bar(model, method) for model, method in run.trainings()]


def test_the_bar_of_the_judge_says_what_it_is_for(run: Run) -> None:
    pixels = EncoderConfig(name="pixels", image_size=16, num_classes=0)
    config = run.config.model_copy(update={"judge": pixels})
    titles = [extraction_bar(config, each).title for each in (run.config.encoder, pixels)]
    assert titles == [f"extract {run.config.encoder.name}", "encode for the judge (pixels)"]


def test_a_bar_belongs_to_its_stage(run: Run) -> None:
    for place, stage in enumerate(STAGES):
        assert {place_of_bar(bar.key) for bar in stage.bars(run.config)} <= {place}
    assert place_of_bar(IMPORT_BAR.key) == 0
    assert place_of_bar(encoder_bar(run.config.encoder).key) == 0
    assert place_of_bar("unknown") == len(STAGES)


def test_every_folder_with_a_stage_is_in_the_table() -> None:
    folders = {path.parent.name for path in Path("jobs").glob("*/stage.py")}
    assert folders == {stage.name for stage in STAGES}
