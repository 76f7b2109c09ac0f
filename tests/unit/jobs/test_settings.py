"""A configuration file and overrides: every mistake is one clear message."""

from pathlib import Path
from typing import Any

import pytest

from jobs.command.fields import describe_fields
from jobs.command.settings import load_config, set_value
from jobs.command.yaml_files import read_yaml
from otcondense.errors import InputError

MINIMAL = """
run: runs/x
source: {path: data/train}
encoder: {name: resnet18}
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "c.yaml"
    path.write_text(MINIMAL)
    return str(path)


def test_overrides_win_over_the_file(file: str) -> None:
    config = load_config(
        file,
        [
            "selection.budget=3",
            "selection.settings.geometry_aware.kappa=1.5",
            "selection.methods=[random]",
        ],
        run="elsewhere",
    )
    assert config.selection.budget == 3
    assert config.selection.settings.geometry_aware.kappa == 1.5
    assert config.selection.methods == ("random",)
    assert config.run == "elsewhere"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("selection.bugdet=3", "selection.bugdet is not a setting; did you mean selection.budget?"),
        (
            "selection.settings.geometry_aware.kapa=2",
            "did you mean selection.settings.geometry_aware.kappa?",
        ),
        ("sorce.path=x", "did you mean source"),
        ("selection.budget=0", "budget must be at least 1, found 0"),
        ("selection.budget=ten", "budget must be a number of images, a share such as"),
        ("selection.budgets=[10, 5]", "budgets must be increasing"),
        ("selection.budgets=[10, 5%]", "all numbers or all shares"),
        ("selection.methods=[magic]", "methods must be among geometry_aware"),
        (
            "selection.settings.geometry_aware.kappa=0.8",
            "kappa must be at least 1, found 0.8",
        ),
        ("selection.budget", "must look like key=value"),
        ("selection.methods=[", "not valid YAML"),
        ("run.x=3", "cannot be set"),
        (
            "models={sit: {training: {subsets: [herding]}, sampling: {}}}",
            "subsets must be among selection.methods",
        ),
        (
            "models={sit: {training: {subsets: [random], data: latents}, sampling: {}}}",
            "sampling.clip must be false",
        ),
        (
            "models={dit: {training: {model: {name: DiT-demo/2}, noise_shift: 2}, sampling: {}}}",
            "noise_shift needs objective sit-linear or sit-gvp, .* with objective dit",
        ),
        (
            "models={dit: {training: {model: {name: DiT-demo/2}}, sampling: {noise_shift: 2}}}",
            "noise_shift needs objective sit-linear or sit-gvp, .* with objective dit",
        ),
        (
            "models={sit: {training: {}, sampling: {noise_shift: 2, method: sde}}}",
            "noise_shift needs method auto, heun, euler, found sde",
        ),
    ],
)
def test_mistakes_are_named(file: str, override: str, message: str) -> None:
    with pytest.raises(InputError, match=f"(?s){message.replace('?', '[?]')}"):
        load_config(file, [override])


@pytest.mark.parametrize("name", ["demo", "demo.yaml", "jobs/configs/demo.yaml"])
def test_a_shipped_file_is_found_by_name_from_any_directory(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = read_yaml("jobs/configs/demo.yaml")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()  # a folder is no configuration
    assert read_yaml(name) == shipped
    assert read_yaml("demo", "sweep") != shipped
    (tmp_path / "demo.yaml").write_text("run: own\n")
    assert read_yaml("demo.yaml") == {"run": "own"}


def test_every_shipped_configuration_resolves() -> None:
    unwritten = ["digits=null", "glyphs=null", "fashion=null"]
    for path in Path("jobs/configs").glob("*.yaml"):
        assert load_config(str(path), ["source.path=images", *unwritten]).run


@pytest.mark.parametrize(
    "name", ["my-folder", "imagenet-10k", "imagenet-50k", "imagenet-100k", "imagenet512-10k"]
)
def test_the_path_of_the_source_is_the_only_required_setting(name: str) -> None:
    with pytest.raises(
        InputError,
        match=r"^source\.path must be set: add source\.path=VALUE to the command line, or set",
    ):
        load_config(f"jobs/configs/{name}.yaml", [])
    assert load_config(f"jobs/configs/{name}.yaml", ["source.path=images"]).held_out is None


def test_every_setting_has_a_meaning() -> None:
    fields = list(describe_fields())
    assert len(fields) > 60
    assert not [field.name for field in fields if not field.meaning]
    defaults = {field.name: field.default for field in fields}
    assert defaults["selection.budget"] == "10"


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (
            "selection.budget=[]",
            "selection.budget must be a whole number or text or a group of "
            "keys and values, found []",
        ),
        (
            "selection.methods={a: 1}",
            "selection.methods must be a list such as [a, b], found {'a': 1}",
        ),
        ("selection.seed=1.5", "selection.seed must be a whole number, found 1.5"),
        ("source=x", "source must be a group of settings, found 'x'"),
        ("source.allow_links=maybe", "source.allow_links must be true or false, found 'maybe'"),
        ("=5", "a setting must look like key=value, found '=5'; see --help-settings for the keys"),
        (
            "a..b=5",
            "a setting must look like key=value, found 'a..b=5'; see --help-settings for the keys",
        ),
    ],
)
def test_a_value_of_another_type_is_one_sentence(file: str, override: str, sentence: str) -> None:
    with pytest.raises(InputError) as refused:
        load_config(file, [override])
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("kind", "listed"),
    [
        ("configuration", "demo, digits, fashion"),
        ("sweep", "a shipped one: demo, demo-full"),
        ("comparison", "demo, demo-repeats, digits"),
        ("settings", "correct the path"),
    ],
)
def test_a_missing_file_lists_those_of_its_kind(kind: str, listed: str) -> None:
    with pytest.raises(InputError, match=rf"^{kind} file nowhere\.yaml does not exist.*{listed}"):
        read_yaml("nowhere.yaml", kind)


@pytest.mark.parametrize(
    ("file", "setting"),
    [("digits", "digits"), ("glyphs", "glyphs"), ("fashion", "fashion.path")],
)
def test_images_are_not_written_to_a_folder_that_the_run_does_not_read(
    file: str, setting: str
) -> None:
    config = f"jobs/configs/{file}.yaml"
    other = "data/other"
    with pytest.raises(InputError, match=rf"{setting}=data/other writes images that source\.path"):
        load_config(config, [f"{setting}={other}"])
    paths = [f"source.path={other}/train", f"held_out.path={other}/held_out"]
    assert load_config(config, [f"{setting}={other}", *paths]).source.path == f"{other}/train"
    assert load_config(config, [f"{file}=null", "source.path=photos"]).source.path == "photos"
    # From another directory, a relative folder may be the one of an absolute path.
    assert load_config(config, ["source.path=/data/train"]).source.path == "/data/train"


def test_a_group_that_is_null_begins_empty() -> None:
    """The stored configuration of a run has null for what is off."""
    values: dict[str, Any] = {"trackers": {"wandb": None}, "run": "a"}
    set_value(values, "trackers.wandb.project", "p")
    assert values["trackers"] == {"wandb": {"project": "p"}}
    with pytest.raises(InputError, match=r"run\.x cannot be set: run is 'a', not a group"):
        set_value(values, "run.x", 1)
