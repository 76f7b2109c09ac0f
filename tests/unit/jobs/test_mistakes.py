"""Wrong values of every kind of setting are answered in our words, never in pydantic's."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_core._pydantic_core import list_all_errors

from jobs.command.fields import model_of
from jobs.command.settings import build
from jobs.compare.config import CompareConfig
from jobs.measure.config import MeasureConfig
from jobs.run_directory.config import RunConfig
from jobs.trials.config import SweepConfig
from otcondense.errors import InputError
from otcondense.forecast.hardware import Hardware
from otcondense.wrong_values import FIXED, OTHERWISE, WITH_LIMITS, expected_value

WRONG: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**9,
    1.5,
    float("nan"),
    "random",
    [],
    [None, 1, "x"],
    {"a": {"b": [1]}},
    {"total": 5, "a": None},
)
THEIR_WORDS = re.compile(
    r"Input should|input should|should be|should have|should match|Value error|validation|pydantic|"
    r"Tuple|Dictionary|dictionary|Unable to|unable to|isinstance|instance of|Extra inputs|"
    r"\.(int|str|float|bool)\b|dict\[|tuple\[|list\[|union\[|constrained-|"
    r"type=|\bNone\b|greater than|less than|valid (integer|number|string|boolean|list)"
)
LEAST: dict[type[BaseModel], dict[str, Any]] = {
    RunConfig: {"run": "runs/a", "source": {"path": "images"}},
    SweepConfig: {"space": {"kappa": [1.0]}},
    CompareConfig: {},
    MeasureConfig: {"samples": "a.npz", "against": "b.npz"},
    Hardware: {"name": "here"},
}
"""Valid values of each model, as few as can be."""


def kinds(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the way to one field of each kind: of its type and its limits."""
    seen: set[str] = set()
    for way, key in _fields(model, path):
        if key not in seen:
            seen.add(key)
            yield way


def _fields(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for name, info in model.model_fields.items():
        inner = model_of(info.annotation)
        yield (*path, name), f"{info.annotation} {info.metadata}"
        if inner is not None:
            yield from _fields(inner, (*path, name))


def with_value(values: dict[str, Any], way: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return the values with one more, at the end of a way."""
    key, *rest = way
    below = values.get(key)
    inner = below if isinstance(below, dict) else {}
    return {**values, key: with_value(inner, tuple(rest), value) if rest else value}


@pytest.mark.parametrize("model", LEAST, ids=lambda model: model.__name__)
def test_no_word_of_pydantic_reaches_a_user(model: type[BaseModel]) -> None:
    answers: dict[str, str] = {}
    for way in kinds(model):
        for value in WRONG:
            try:
                build(model, with_value(LEAST[model], way, value), "own.yaml")
            except InputError as error:
                answers[f"{'.'.join(way)}={value}"] = str(error)
    assert len(answers) > len(model.model_fields)
    theirs = {name: text for name, text in answers.items() if THEIR_WORDS.search(text)}
    assert not theirs


def test_every_error_of_pydantic_has_words_of_ours() -> None:
    for known in list_all_errors():
        error = {
            "type": known["type"],
            "msg": known["message_template_python"],
            "ctx": known["example_context"] or {},
            "input": 1,
            "loc": (),
        }
        text = expected_value(error)
        assert not THEIR_WORDS.search(text), known["type"]
        assert (text != OTHERWISE) == (known["type"] in {**FIXED, **WITH_LIMITS}) or (
            FIXED.get(known["type"]) == OTHERWISE
        )


@pytest.mark.parametrize(
    ("setting", "value", "answer"),
    [
        ("selection.methods", [], "methods must be among geometry_aware, "),
        ("selection.methods", ["k-center"], "found k-center; did you mean k_center?"),
        ("selection.budget", {"total:5": None}, "selection.budget.total:5 must be "),
        ("selection.budgt", 3, "selection.budgt is not a setting; did you mean selection.budget?"),
        ("selection.small_class", "take-al", "found 'take-al'; did you mean take_all?"),
        ("source.kind", "image-folder", "; did you mean image_folder?"),
        ("budget", 3, "budget is not a setting; did you mean selection.budget?"),
        ("kappe", 3, "did you mean selection.settings.geometry_aware.kappa?"),
    ],
)
def test_a_mistyped_word_is_answered_with_the_nearest(
    setting: str, value: Any, answer: str
) -> None:
    with pytest.raises(InputError) as refused:
        build(RunConfig, with_value(LEAST[RunConfig], tuple(setting.split(".")), value), None)
    assert answer in str(refused.value)


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("selection.methods", "random", ("random",)),
        ("selection.budgets", 5, (5,)),
    ],
)
def test_a_single_value_stands_for_a_list_of_one(setting: str, value: Any, expected: Any) -> None:
    group, name = setting.split(".")
    config = build(RunConfig, with_value(LEAST[RunConfig], (group, name), value), None)
    assert getattr(getattr(config, group), name) == expected
