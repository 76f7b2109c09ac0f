"""Weights that are missing are named before the first stage, whatever needs them."""

from pathlib import Path
from typing import Any

import pytest

from jobs.requirements.present import check_weights
from jobs.run_directory.config import RunConfig
from jobs.run_directory.run import Run
from otcondense.errors import InputError
from tests.generators.weights import write_text_encoder, write_timm

WRONG = "/nowhere/model"
NETWORK = {"image_size": 32, "num_classes": 0}
GIVEN = {"name": "resnet18", "weights": f"{WRONG}.safetensors", "num_classes": 0}
CLIP = {"name": f"transformers:{WRONG}"}


def _trained(**training: Any) -> dict[str, Any]:
    model = {"name": "SiT-demo/2", "width": 16, "depth": 1, "num_heads": 2}
    sampling = {"num_samples": 4, "clip": training.get("data") != "latents"}
    training = {"model": model, "subsets": ["random"], **training}
    return {"m": {"training": training, "sampling": sampling}}


SETTINGS: dict[str, dict[str, Any]] = {
    "encoder": {"encoder": GIVEN},
    "judge": {"judge": GIVEN},
    "judges": {"judges": {"other": GIVEN}},
    "classifier": {"confidence": {"kind": "classifier", "classifier": {**GIVEN, "num_classes": 3}}},
    "alignment": {"confidence": {"kind": "alignment", "alignment": {"encoder": CLIP}}},
    "caption": {"encoders": [NETWORK, {**CLIP, "input": "caption"}], "encoder": None},
    "class names": {"text": {"model": WRONG}, "models": _trained(text=True)},
    "captions": {
        "text": {"model": WRONG, "of": "captions"},
        "models": _trained(text="captions"),
    },
    "latents": {
        "latents": {"model": WRONG, "image_size": 32},
        "models": _trained(data="latents"),
        "pixels": {"size": 32, "channels": 3},
    },
    "Inception": {
        "evaluation": {"network": "inception", "inception_weights": WRONG},
        "models": _trained(),
    },
}
"""Each setting that names weights, with a wrong path."""


def run_of(root: Path, values: dict[str, Any]) -> Run:
    file = root / "e.safetensors"
    if not file.exists():
        write_timm(file, "test_resnet")
    network = {**NETWORK, "name": "test_resnet", "weights": str(file)}
    plain: dict[str, Any] = {
        "run": str(root / "run"),
        "source": {"path": str(root / "images"), "captions": "txt"},
        "encoder": network,
        "confidence": {"kind": "none"},
        "selection": {"methods": ["random"]},
    }
    if "encoders" in values:
        values = {**values, "encoders": [network, *values["encoders"][1:]]}
    return Run(RunConfig.model_validate({**plain, **values}))


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_wrong_path_is_named_before_the_first_stage(setting: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"needs {WRONG}.*found nothing there"):
        check_weights(run_of(tmp_path, SETTINGS[setting]))


TEXT_SETTINGS = ("alignment", "caption", "class names", "captions")


@pytest.mark.parametrize("setting", TEXT_SETTINGS)
@pytest.mark.parametrize("left", ["no weights", "weights alone"])
def test_a_folder_without_the_text_network_is_refused(
    setting: str, left: str, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    write_text_encoder(folder, ("a",), "bert")
    for file in folder.iterdir():
        if (file.suffix == ".safetensors") == (left == "no weights"):
            file.unlink()
    values = _at(SETTINGS[setting], str(folder))
    with pytest.raises(InputError, match=str(folder)):
        check_weights(run_of(tmp_path, values))


def _at(values: Any, place: str) -> Any:
    """Return settings with another path."""
    if isinstance(values, dict):
        return {name: _at(each, place) for name, each in values.items()}
    if isinstance(values, list):
        return [_at(each, place) for each in values]
    return values.replace(WRONG, place) if isinstance(values, str) else values


def test_a_text_encoder_of_too_few_positions_is_refused(tmp_path: Path) -> None:
    place = write_text_encoder(tmp_path / "model", ("a",), "bert")
    values = _at(SETTINGS["class names"], place)
    check_weights(run_of(tmp_path, values))
    values["text"]["max_tokens"] = 10_000
    with pytest.raises(InputError, match=r"text\.max_tokens must be at most"):
        check_weights(run_of(tmp_path, values))


def test_weights_that_the_run_trains_are_not_looked_for(tmp_path: Path) -> None:
    trained = {"name": "resnet18", "weights": f"{WRONG}.safetensors", "train": {}}
    check_weights(run_of(tmp_path, {"encoder": trained}))
