"""Runs with encoders of every origin, joined ones, and the cosine cost: to the last stage."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from jobs.answers.card_facts import _looked_at, features_seen
from jobs.export.command import _export_features
from jobs.extract_features.dry_run import forecast_features
from jobs.extract_features.stage import extract
from jobs.report.data import collect
from jobs.run_directory.config import RunConfig
from jobs.run_directory.encoder_rules import unused_for_given
from jobs.run_directory.marker import write_marker
from jobs.run_directory.run import Run
from jobs.select_subset.stage import select_subset
from jobs.trials.sweep import _input_directories
from jobs.verify.command import verify
from otcondense.encoders import EncoderConfig
from otcondense.store import class_file, read_class_features, read_manifest
from otcondense.unit_rows import unit_rows
from tests.generators.vision_models import write_model

PIXELS: dict[str, Any] = {"name": "pixels", "image_size": 8}
RESNET: dict[str, Any] = {"name": "test_resnet", "weights": "random", "image_size": 32}
METHODS = ["k_means", "random"]
CLASSES = ("ant", "bee")
OTHERS = ("dinov2", "dinov3", "siglip")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(0)
    for name in CLASSES:
        (root / name).mkdir()
        for number in range(8):
            pixels = generator.integers(0, 256, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:02}.png")
    return root


def run_of(images: Path, root: Path, **settings: Any) -> Run:
    values = {
        "run": str(root / "run"),
        "source": {"path": str(images)},
        "confidence": {"kind": "none"},
        "extraction": {"num_encoders": 0},
        **settings,
    }
    chosen = {"budget": 3, "methods": METHODS, "pool": {"num_actors": 0}}
    values["selection"] = {**chosen, **settings.get("selection", {})}
    return Run(RunConfig.model_validate(values))


def worked(images: Path, root: Path, **settings: Any) -> Run:
    run = run_of(images, root, **settings)
    write_marker(run)
    extract(run)
    select_subset(run)
    return run


def subsets(run: Run) -> dict[str, list[str]]:
    return {
        name: read_manifest(run.store, run.manifest(name)).column("image_id").to_pylist()
        for name in METHODS
    }


@pytest.mark.parametrize(
    "kind", ["clip", *(pytest.param(kind, marks=pytest.mark.slow) for kind in OTHERS)]
)
def test_a_run_with_a_model_of_transformers(images: Path, tmp_path: Path, kind: str) -> None:
    name = write_model(tmp_path, kind)
    run = worked(images, tmp_path, encoder={"name": name, "device": "cpu", "batch_size": 8})
    assert {len(each) for each in subsets(run).values()} == {6}
    assert list(verify(run)) == []


def test_joined_encoders_reach_the_last_stage(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    (tmp_path / "my_colours.py").write_text("def mean():\n    return lambda b: b.mean((2, 3))\n")
    monkeypatch.chdir(tmp_path)
    own = {"name": "my_colours:mean", "version": "1", "image_size": 32, "weight": 2}
    encoders = [{**RESNET, "normalize": "l2"}, "pixels", own]
    run = worked(images, tmp_path, encoders=encoders, confidence={"kind": "probe"})
    view = run.features_view()
    features = view.read(run.store, "ant").features
    widths = [
        read_class_features(run.store, each, "ant").features.shape[1] for each in view.directories
    ]
    assert features.shape == (8, sum(widths))
    first = read_class_features(run.store, view.first, "ant")
    lengths = np.linalg.norm(features[:, : widths[0]], axis=1)
    assert lengths == pytest.approx(lengths[0], rel=1e-5)  # unit rows, times one factor
    direction = (features[:, : widths[0]] * unit_rows(first.features)).sum(1)
    assert direction == pytest.approx(lengths, rel=1e-5)
    assert "runs this function of yours" in capsys.readouterr().out

    assert [len(each) for each in subsets(run).values()] == [6, 6]
    assert list(verify(run)) == []
    assert "is not run to check" in capsys.readouterr().out
    assert collect(run).feature_maps
    assert features_seen(run) == (
        "features of the networks test_resnet (of length 1, weight 1) and pixels (weight 1) and "
        "my_colours:mean (weight 2), joined: each scaled to its weight in every class",
        "test_resnet and pixels and my_colours:mean",
    )
    assert set(_input_directories(run)) >= set(view.directories)
    forecast_features(run)
    assert capsys.readouterr().out.count("finished earlier") == 3

    again = Run(RunConfig.model_validate(run.config.model_dump(mode="json")))
    assert again.selection_directory("random") == run.selection_directory("random")


def test_another_partner_or_weight_extracts_only_what_is_new(images: Path, tmp_path: Path) -> None:
    one = worked(images, tmp_path, encoders=[RESNET, PIXELS])
    files = {directory: _digests(one, directory) for directory in one.features_view().directories}
    two = worked(images, tmp_path, encoders=[RESNET, {**PIXELS, "weight": 100}])
    assert one.features_view().directories == two.features_view().directories
    three = worked(images, tmp_path, encoders=[RESNET, {**PIXELS, "image_size": 9}])
    assert one.features_view().first == three.features_view().first
    assert {name: _digests(one, name) for name in files} == files
    places = {run.selection_directory("k_means") for run in (one, two, three)}
    assert len(places) == 3
    assert list(verify(one)) == list(verify(three)) == []


def _digests(run: Run, directory: str) -> list[tuple[bytes, int]]:
    paths = [Path(run.store.path(class_file(directory, name))) for name in CLASSES]
    return [(path.read_bytes(), path.stat().st_mtime_ns) for path in paths]


def test_the_cosine_cost_is_unit_length_for_every_encoder(images: Path, tmp_path: Path) -> None:
    cosine = worked(images, tmp_path, encoder=RESNET, selection={"cost": "cosine"})
    unit = worked(images, tmp_path, encoder={**RESNET, "normalize": "l2"})
    assert subsets(cosine) == subsets(unit)
    assert cosine.selection_directory("random") == unit.selection_directory("random")
    plain = run_of(images, tmp_path, encoder=RESNET)
    assert features_seen(cosine)[0] == "features of the network test_resnet (of length 1)"
    assert plain.features_view().directories == unit.features_view().directories
    assert plain.selection_directory("random") != unit.selection_directory("random")
    both = run_of(images, tmp_path, encoders=[RESNET, PIXELS], selection={"cost": "cosine"})
    assert [part.is_unit for part in both.features_view().parts] == [True, True]


def test_the_cosine_of_given_features_is_told(tmp_path: Path) -> None:
    source = {"kind": "features", "path": str(tmp_path)}
    run = run_of(tmp_path, tmp_path, source=source, selection={"cost": "cosine"})
    assert _looked_at(run, "k_means") == ("given features (of length 1)", "")


UNUSED = {
    "name": "test_resnet",
    "weights": "w.safetensors",
    "image_size": 32,
    "batch_size": 7,
    "device": "cpu",
    "precision": "bfloat16",
}
"""Settings that say how images become features."""


@pytest.mark.parametrize("field", UNUSED)
def test_settings_of_a_network_are_named_for_given_features(field: str, tmp_path: Path) -> None:
    source = {"kind": "features", "path": str(tmp_path)}
    run = run_of(tmp_path, tmp_path, source=source, encoder={field: UNUSED[field]})
    assert unused_for_given(run.config.encoder) == [field]


@pytest.mark.parametrize("encoder", [None, {}, {"normalize": "l2"}])
def test_how_the_selection_sees_given_features_can_be_set(encoder: Any, tmp_path: Path) -> None:
    source = {"kind": "features", "path": str(tmp_path)}
    run = run_of(tmp_path, tmp_path, source=source, encoder=encoder)
    assert run.features_view().parts[0].is_unit == bool(encoder)
    assert unused_for_given(run.config.encoder) == []


def test_exported_features_are_those_that_the_selection_sees(images: Path, tmp_path: Path) -> None:
    from argparse import Namespace

    run = worked(images, tmp_path, encoders=[RESNET, PIXELS])
    target = tmp_path / "features"
    _export_features(run, Namespace(logits=False, output=str(target)), "npy")
    expected = np.concatenate(
        [run.features_view().read(run.store, name).features for name in CLASSES]
    )
    assert np.array_equal(np.load(target / "features.npy"), expected)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"encoder": PIXELS, "encoders": [RESNET, PIXELS]},
            "leave encoder out, or set encoder=null",
        ),
        ({"encoders": [PIXELS, {**PIXELS, "weight": 2}]}, "found pixels twice"),
        ({"encoder": {**PIXELS, "weight": 2}}, "needs several encoders"),
        ({"encoder": {**PIXELS, "weight": 0}}, "greater than 0"),
        (
            {"encoder": RESNET, "judge": {**PIXELS, "normalize": "l2"}},
            "judge.normalize must be none",
        ),
        (
            {"encoder": RESNET, "judges": {"p": {**PIXELS, "weight": 2}}},
            "judges.p.weight must be 1",
        ),
        ({"encoders": ["resnet50", {"name": "pixels", "normalise": "l2"}]}, "normalise"),
    ],
)
def test_mistakes_are_said(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    values = {"run": str(tmp_path), "source": {"path": str(tmp_path)}, **settings}
    with pytest.raises(ValidationError, match=said):
        RunConfig.model_validate(values)


def test_several_encoders_replace_one_of_another_configuration(tmp_path: Path) -> None:
    values = {"run": str(tmp_path), "source": {"path": str(tmp_path)}, "encoder": None}
    config = RunConfig.model_validate({**values, "encoders": ["resnet50", PIXELS]})
    assert config.encoder == config.encoders[0] == EncoderConfig(name="resnet50")
    assert RunConfig.model_validate(json.loads(config.model_dump_json())) == config


@pytest.mark.parametrize(
    ("encoder", "features", "selection"),
    [
        ({"name": "resnet-50"}, "resnet50.tv_in1k-ff1c2421", "geometry_aware-03f9fa24"),
        ({"name": "pixels", "image_size": 16}, "pixels-e0575e94", "geometry_aware-36eb7eee"),
    ],
)
def test_results_from_before_have_their_names(
    encoder: dict[str, Any], features: str, selection: str, tmp_path: Path
) -> None:
    values = {"run": str(tmp_path), "source": {"path": "images"}, "encoder": encoder}
    run = Run(RunConfig.model_validate(values))
    assert run.features_view().name == f"features/{features}"
    assert run.selection_directory("geometry_aware") == f"selection/{selection}"
