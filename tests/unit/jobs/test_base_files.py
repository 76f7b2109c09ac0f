"""The key `base` of a YAML file: values of another file that hold where this one sets none."""

from pathlib import Path

import pytest
import yaml

from jobs.command.settings import load_config
from jobs.command.yaml_files import read_yaml
from otcondense.errors import InputError


def write(path: Path, values: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(values))
    return str(path)


def test_groups_are_merged_and_other_values_replaced(tmp_path: Path) -> None:
    write(tmp_path / "base/all.yaml", {"a": {"b": 1, "c": [1, 2]}, "d": 1, "e": {"f": 1}})
    file = write(tmp_path / "own.yaml", {"base": "base/all.yaml", "a": {"c": [3]}, "e": None})
    assert read_yaml(file) == {"a": {"b": 1, "c": [3]}, "d": 1, "e": None}


def test_a_base_can_have_a_base_relative_to_itself(tmp_path: Path) -> None:
    write(tmp_path / "x/deep.yaml", {"a": 1, "b": 1})
    write(tmp_path / "x/middle.yaml", {"base": "deep.yaml", "b": 2})
    file = write(tmp_path / "own.yaml", {"base": "x/middle.yaml", "c": 3})
    assert read_yaml(file) == {"a": 1, "b": 2, "c": 3}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"base": "own.yaml"}, "must not be its own base"),
        ({"base": "circle.yaml"}, "must not be its own base"),
        ({"base": "absent.yaml"}, r"base in .*own\.yaml must name a YAML file, found none at"),
        ({"base": 3}, r"base in .*own\.yaml must be the path of a YAML file, found 3"),
        ({"base": "list.yaml"}, r"list\.yaml must hold keys and values, found list"),
    ],
)
def test_a_wrong_base_is_refused(tmp_path: Path, values: object, message: str) -> None:
    file = write(tmp_path / "own.yaml", values)
    write(tmp_path / "circle.yaml", {"base": "own.yaml"})
    write(tmp_path / "list.yaml", [1])
    with pytest.raises(InputError, match=message):
        read_yaml(file)


@pytest.mark.parametrize(
    ("name", "budget", "size"),
    [
        ("imagenet-10k", 10, 256),
        ("imagenet-50k", 50, 256),
        ("imagenet-100k", 100, 256),
        ("imagenet512-10k", 10, 512),
    ],
)
def test_the_imagenet_files_differ_in_budget_and_size(name: str, budget: int, size: int) -> None:
    config = load_config(f"jobs/configs/{name}.yaml", ["source.path=images"])
    assert config.run == f"runs/{name}"
    assert config.selection.budget == budget
    assert config.pixels.shape == (3, size, size)
    assert config.latents.image_size == config.tokens.image_size == size
    assert config.models["l2"].training.model.name == "DiT-L/2"
