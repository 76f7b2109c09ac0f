"""Classes that are hardly larger than their budget are named before anything is computed."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from jobs.command.settings import load_config
from jobs.extract_features import dry_run
from jobs.run_directory.budgets import balanced_classes, check_budgets
from jobs.run_directory.run import Run
from jobs.run_directory.selection_config import SelectionConfig
from otcondense.errors import InputError

KAPPA: dict[str, Any] = {"settings": {"geometry_aware": {"kappa": 1.5}}}


def run_of(
    root: Path, sizes: dict[str, int], groups: dict[str, Any] | None = None, **selection: Any
) -> Run:
    for name, count in sizes.items():
        (root / "images" / name).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (8, 8), (number, 0, 0)).save(root / "images" / name / f"{number}.png")
    values = {
        "run": str(root / "run"),
        "source": {"path": str(root / "images")},
        "held_out": {"path": str(root / "images")},
        "encoder": {"name": "resnet18"},
        "selection": selection,
        "groups": groups,
    }
    path = root / "c.yaml"
    path.write_text(yaml.safe_dump(values))
    return Run(load_config(str(path), []))


@pytest.mark.parametrize("small_class", ["error", "take_all"])
def test_classes_just_above_the_budget_are_named(small_class: str, tmp_path: Path) -> None:
    sizes = {"a-50": 50, "b-51": 51, "c-52": 52, "d-53": 53}
    said = check_budgets(run_of(tmp_path, sizes, budget=50, small_class=small_class))
    assert said == [
        "kappa is lowered to 1 for 2 classes of at most kappa * budget images: b-51, c-52"
    ]


def test_a_dry_run_names_them_before_it_measures_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(*_: object) -> None:
        raise InputError("measured")

    monkeypatch.setattr(dry_run, "known_of", measure)
    with pytest.raises(InputError, match="measured"):
        dry_run.forecast_features(run_of(tmp_path, {"a": 4, "b": 9}, budget=3, **KAPPA))
    assert "kappa is lowered to 1 for 1 class of" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("budget", "size", "kappa", "balanced"),
    [
        (50, 50, 1.05, False),
        (50, 51, 1.05, True),
        (50, 52, 1.05, True),
        (50, 53, 1.05, False),
        (100, 105, 1.05, True),
        (100, 106, 1.05, False),
        (10, 20, 2.0, True),
        (10, 21, 2.0, False),
        (10, 11, 1.0, False),
        (1, 2, 2.0, True),
    ],
)
def test_the_rule_at_its_edges(budget: int, size: int, kappa: float, *, balanced: bool) -> None:
    settings = {"geometry_aware": {"kappa": kappa}}
    selection = SelectionConfig(budget=budget, settings=settings)
    assert balanced_classes(selection, {"c": size}, {"c": budget}) == ["c"] * balanced


def test_other_methods_have_no_kappa() -> None:
    assert balanced_classes(SelectionConfig(methods=("random",)), {"c": 51}, {"c": 50}) == []


def test_a_class_below_the_budget_is_still_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="class a has 3 images"):
        check_budgets(run_of(tmp_path, {"a": 3}, budget=4))


@pytest.mark.parametrize(("labels", "name"), [("keep", "class a"), ("ignore", "the source")])
def test_a_budget_that_may_be_below_the_number_of_groups_is_named(
    labels: str, name: str, tmp_path: Path
) -> None:
    groups = {"most": 10, "labels": labels}
    run = run_of(tmp_path, {"a": 60}, groups, budget=8, methods=["random"])
    (said,) = check_budgets(run)
    assert said.startswith(f"{name} will have about 12 groups")
    assert not check_budgets(run_of(tmp_path / "more", {"a": 60}, groups, budget=12))
    with pytest.raises(InputError, match="at least 6 groups"):
        check_budgets(run_of(tmp_path / "few", {"a": 60}, groups, budget=5))
