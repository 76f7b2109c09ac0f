"""Difficulty scores through their verb: both kinds, for all images, finished work recognised, used by the methods that ask for them."""

import numpy as np
import pytest
import torch
from tiny import CLASSES, write_config

from jobs import extract_features
from jobs.cli import main
from jobs.run_directory import Run
from jobs.score import score
from jobs.settings import load_config
from otcondense.diffusion import ModelConfig, build_model
from otcondense.diffusion.checkpoint import save_model
from otcondense.errors import InputError
from otcondense.selection import SELECTORS
from otcondense.store import Store, read_class_difficulties, read_class_features

pytestmark = pytest.mark.usefixtures("ray_cluster")


def scorer(root):
    model, config = (
        build_model(ModelConfig(width=16, depth=1, num_heads=2), CLASSES, (1, 8, 8)),
        ModelConfig(width=16, depth=1, num_heads=2),
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    save_model(Store(str(root)), "scorer", model, config)
    return f"{root}/scorer"


@pytest.fixture(scope="module")
def run(tmp_path_factory, ray_cluster):
    """A run of three classes of digits with features, and a small model to score with."""
    root = tmp_path_factory.mktemp("score")
    settings = ["extraction.num_encoders=0", f"scores.denoising.checkpoint={scorer(root)}", "scores.denoising.num_timesteps=2"]
    config = str(write_config(root))
    main("extract_features", "", extract_features.extract, ["--config", config, "extraction.num_encoders=0"])
    return Run(load_config(config, settings))


def scores(run, kind):
    files = {name: run.store.read_bytes(name) for name in run.store.list(run.scores_directory(kind))}
    features = [read_class_features(run.store, run.features_directory(run.config.encoder), str(name)) for name in range(CLASSES)]
    values = [read_class_difficulties(run.store, run.scores_directory(kind), each.class_name, each.image_ids) for each in features]
    return files, features, values


@pytest.mark.parametrize(("kind", "method"), [("denoising", "d2c"), ("aum", "ccs")])
def test_scores_are_made_once_and_select(kind, method, run, capsys):
    score(run, kind)
    files, features, values = scores(run, kind)
    assert [len(each) for each in values] == [each.size for each in features] == [30] * CLASSES
    assert all(np.isfinite(each).all() and len(set(each.tolist())) > 20 for each in values)
    score(run, kind)
    assert f"{CLASSES} finished before" in capsys.readouterr().out
    run.store.remove(next(iter(files)))
    score(run, kind)
    assert scores(run, kind)[0] == files
    chosen = SELECTORS[method](budget=4).fit(features[0].features, difficulty=values[0]).indices_
    assert len(chosen) == 4


def test_a_scorer_of_other_inputs_or_none_at_all(run, tmp_path):
    scores_ = run.config.scores.denoising
    for checkpoint, message in ((None, "must name the checkpoint"), (f"{tmp_path}/absent", "not a complete checkpoint")):
        changed = run.config.scores.model_copy(update={"denoising": scores_.model_copy(update={"checkpoint": checkpoint})})
        with pytest.raises(InputError, match=message):
            score(Run(run.config.model_copy(update={"scores": changed})), "denoising")


def test_scores_of_other_images_are_refused(run):
    score(run, "aum")
    with pytest.raises(InputError, match="must hold the 1 images that have features, found 30 others"):
        read_class_difficulties(run.store, run.scores_directory("aum"), "0", ["another.png"])
    with pytest.raises(InputError, match="there are no scores"):
        read_class_difficulties(run.store, "scores/none", "0", [])
