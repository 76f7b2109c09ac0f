"""The help of every verb: a screen of options, and the settings on their own."""

import importlib

import pytest

from jobs.__main__ import main as list_verbs
from jobs.command.fields import describe_fields, describe_groups, is_below
from jobs.command.verbs import VERBS
from jobs.compare.config import CompareConfig
from jobs.convert.__main__ import WAYS
from jobs.measure.config import MeasureConfig
from jobs.run_directory.config import RunConfig
from jobs.trials.config import SweepConfig
from otcondense.config import Config
from otcondense.forecast.hardware import Hardware

SCREEN_LINES = 40
SCREEN_COLUMNS = 80
MODELS = (RunConfig, SweepConfig, CompareConfig, MeasureConfig, Hardware)
WITH_SETTINGS = [name for name, verb in VERBS.items() if verb.takes_config]


def printed(verb: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as end:
        importlib.import_module(f"jobs.{verb}.__main__").main(words)
    assert end.value.code in (0, None)
    return capsys.readouterr().out


@pytest.mark.parametrize("words", [*VERBS, *(f"convert {way}" for way in WAYS)])
def test_the_help_of_a_verb_fits_a_screen(
    words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    verb, *more = words.split()
    lines = printed(verb, [*more, "--help"], capsys).splitlines()
    assert lines[0].startswith(f"usage: otcondense {words} ")
    assert len(lines) <= SCREEN_LINES
    assert max(map(len, lines)) <= SCREEN_COLUMNS


def test_the_list_of_verbs_fits_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    list_verbs([])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= SCREEN_LINES
    assert max(map(len, lines)) <= SCREEN_COLUMNS


@pytest.mark.parametrize("verb", [*WITH_SETTINGS, "measure"])
def test_the_settings_of_a_verb_are_listed_on_their_own(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = printed(verb, ["--help-settings"], capsys)
    assert "\n  evaluation." in listed
    assert max(map(len, listed.splitlines())) <= SCREEN_COLUMNS


def test_a_prefix_lists_what_is_below_it_and_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    listed = printed("run", ["--help-settings", "models.sit.sampling"], capsys)
    names = [line.split()[0] for line in listed.splitlines() if line[:2] == "  " != line[2:4]]
    assert "models.NAME.sampling.cfg_scale" in names
    assert all(name.startswith("models.NAME.sampling.") for name in names)


def test_the_file_of_an_option_is_listed_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    listed = printed("run", ["--help-settings", "on"], capsys)
    assert listed.startswith("fields of the file of --on, with their defaults:\n")
    assert "selection.budget" not in listed


@pytest.mark.parametrize(
    ("prefix", "nearest"), [("selction.budget", "selection.budget"), ("method", "selection.method")]
)
def test_an_unknown_prefix_is_answered_with_the_nearest(
    prefix: str, nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        importlib.import_module("jobs.run.__main__").main(["--help-settings", prefix])
    assert end.value.code == 2
    found = capsys.readouterr().err
    assert found.startswith(f"error: no setting begins with {prefix}; did you mean ")
    assert nearest in found


def test_settings_that_groups_share_are_listed_once_and_can_be_asked_for() -> None:
    groups = {field.name: field for field in describe_groups(RunConfig)}
    assert "encoder.image_size" in groups
    assert "judge.image_size" not in groups
    judge = groups["judge.*"].meaning
    assert judge.startswith("(optional group, null unless it is set) ")
    assert judge.endswith("Its settings are those of encoder.")
    every = [field.name for field in describe_fields(RunConfig)]
    assert "judge.image_size" in every
    assert len(groups) < len(every)


class _Workers(Config):
    count: int = 1
    device: str | None = None


class _Both(Config):
    usual: _Workers = _Workers()
    many: _Workers = _Workers(count=8)


def test_defaults_of_a_group_that_differ_from_its_kind_are_shown() -> None:
    groups = {field.name: field.meaning for field in describe_groups(_Both)}
    assert groups["usual.*"] == ""
    assert groups["many.*"] == "(with count [8]) Its settings are those of usual."


@pytest.mark.parametrize("model", MODELS)
def test_null_is_the_one_word_for_what_is_not_set(model: type) -> None:
    for field in describe_fields(model):
        assert "None" not in f"{field.default} {field.meaning}".split(), field.name
        assert "unset" not in field.meaning.lower().split(), field.name


@pytest.mark.parametrize(
    ("name", "prefix", "expected"),
    [
        ("selection.budget", "sel", True),
        ("selection.budget", "selection", True),
        ("selection.budget", "selection.budget.x", False),
        ("selection.budget", "election", False),
        ("models.NAME.training.seed", "models.sit.training", True),
        ("models.NAME.training.seed", "models.sit.sampling", False),
        ("models.NAME.training.seed", "models.NAME.tr", True),
    ],
)
def test_a_prefix_stands_for_the_beginning_of_a_name(
    name: str, prefix: str, expected: bool
) -> None:
    assert is_below(name, prefix) is expected
