"""Difficulty scores: both kinds, for all images, skipped when finished, used by their methods."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from actors.class_selection import run_selector
from actors.reduced_class import CopyRules
from jobs.command.settings import load_config
from jobs.run_directory.config import SelectionConfig
from jobs.run_directory.run import Run
from jobs.run_directory.stages import verb_of
from jobs.score.stage import score
from jobs.select_subset.stage import select_subset
from jobs.verify.command import verify
from otcondense.diffusion import ModelConfig, build_model
from otcondense.diffusion.checkpoint import save_model
from otcondense.errors import InputError, MissingInputError
from otcondense.selection import SELECTORS
from otcondense.store import (
    Store,
    read_class_difficulties,
    read_class_features,
    read_class_selection,
)
from tests.ray.tiny import CLASSES
from tests.runs import copy_run, write_times

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.slow]


def scorer(root):
    model, config = (
        build_model(ModelConfig(width=16, depth=1, num_heads=2), CLASSES, (1, 8, 8)),
        ModelConfig(width=16, depth=1, num_heads=2),
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(
                0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
            )
    save_model(Store(str(root)), "scorer", model, config)
    return f"{root}/scorer"


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_run):
    """A run of three classes of digits with features, and a small model to score with."""
    root = tmp_path_factory.mktemp("score")
    settings = [
        f"scores.denoising.checkpoint={scorer(root)}",
        "scores.denoising.num_timesteps=2",
    ]
    config = copy_run(tiny_run, root)
    return Run(load_config(str(config), settings))


def scores(run, kind):
    files = {
        name: run.store.read_bytes(name) for name in run.store.list(run.scores_directory(kind))
    }
    features = [
        read_class_features(run.store, run.features_directory(run.config.encoder), str(name))
        for name in range(CLASSES)
    ]
    values = [
        read_class_difficulties(
            run.store, run.scores_directory(kind), each.class_name, each.image_ids
        )
        for each in features
    ]
    return files, features, values


@pytest.mark.parametrize(("kind", "method"), [("denoising", "d2c"), ("aum", "ccs")])
def test_scores_are_computed_once_and_select(kind, method, run):
    score(run, kind)
    files, features, values = scores(run, kind)
    assert [len(each) for each in values] == [each.size for each in features] == [30] * CLASSES
    assert all(np.isfinite(each).all() and len(set(each.tolist())) > 20 for each in values)
    times = write_times(Path(run.store.path(name)) for name in files)
    score(run, kind)
    assert write_times(times) == times
    run.store.remove(next(iter(files)))
    score(run, kind)
    assert scores(run, kind)[0] == files
    chosen = SELECTORS[method](budget=4).fit(features[0].features, difficulty=values[0]).indices_
    assert len(chosen) == 4


def test_a_missing_scorer_is_refused(run, tmp_path):
    scores_ = run.config.scores.denoising
    for checkpoint, message in (
        (None, "must name the checkpoint"),
        (f"{tmp_path}/absent", "not a complete checkpoint"),
    ):
        changed = run.config.scores.model_copy(
            update={"denoising": scores_.model_copy(update={"checkpoint": checkpoint})}
        )
        with pytest.raises(InputError, match=message):
            score(Run(run.config.model_copy(update={"scores": changed})), "denoising")


def test_scores_of_other_images_are_refused(run):
    score(run, "aum")
    with pytest.raises(
        InputError, match="must hold the 1 images that have features, found 30 others"
    ):
        read_class_difficulties(run.store, run.scores_directory("aum"), "0", ["another.png"])
    with pytest.raises(InputError, match="there are no scores"):
        read_class_difficulties(run.store, "scores/none", "0", [])


def test_methods_by_difficulty_select_by_their_scores(run):
    selection = run.config.selection.model_copy(update={"methods": ("d2c", "ccs")})
    scored = Run(run.config.model_copy(update={"selection": selection}))
    run.store.remove("scores")
    with pytest.raises(
        MissingInputError,
        match=r"scores/denoising-.* is missing or damaged",
    ) as raised:
        select_subset(scored)
    assert verb_of(raised.value.file) == "score"
    for kind in selection.score_kinds():
        score(scored, kind)
    select_subset(scored)
    for method, kind in (("d2c", "denoising"), ("ccs", "aum")):
        _, features, values = scores(run, kind)
        for each, difficulty in zip(features, values, strict=True):
            settings = selection.selector_settings(method, selection.budget)
            rules = CopyRules(selection.duplicates, selection.near_copies)
            expected = run_selector(method, settings, each, difficulty=difficulty, rules=rules)
            stored = read_class_selection(
                run.store, scored.selection_directory(method), each.class_name
            )
            assert stored.indices.tolist() == expected.indices.tolist()
    assert not [
        problem for problem in verify(scored) if problem.file.startswith(("scores/", "selection/"))
    ]
    (name, *_) = run.store.list(scored.scores_directory("aum"))
    run.store.remove(name)
    assert (name, "score") in {(problem.file, problem.verb) for problem in verify(scored)}


def test_a_score_with_the_wrong_hard_end_is_refused(run):
    values = run.config.selection.model_dump() | {"methods": ("d2c",), "difficulty": {"d2c": "aum"}}
    with pytest.raises(
        ValidationError, match=r"settings\.d2c\.hard must be low for scores of kind aum, found high"
    ):
        SelectionConfig.model_validate(values)
