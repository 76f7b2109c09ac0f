"""Which configuration a command line chooses."""

import re
from pathlib import Path

import pytest
import yaml

from jobs.command.choice import DEFAULT_CONFIG, chosen_config
from jobs.command.settings import load_config
from jobs.command.verbs import VERBS
from jobs.run_directory.stages import Access
from otcondense.errors import InputError
from tests.runs import start_run
from tests.verbs import call

STARTING = [name for name, verb in VERBS.items() if verb.access is Access.STARTS]
OTHERS = [name for name, verb in VERBS.items() if verb.access in (Access.WORKS, Access.READS)]


@pytest.fixture
def root(tmp_path: Path) -> str:
    """A run with a budget of 7."""
    values = {"source": {"path": "images"}, "selection": {"budget": 7}}
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(values))
    return start_run(path, tmp_path / "run").store.root


@pytest.mark.parametrize("verb", [*STARTING, *OTHERS])
@pytest.mark.parametrize("named", ["word", "option", "both"])
def test_a_verb_on_a_run_uses_its_own_configuration(root: str, verb: str, named: str) -> None:
    option = None if named == "word" else root
    words = ["selection.seed=3"] if named == "option" else [root, "selection.seed=3"]
    config = chosen_config(VERBS[verb], None, option, words)
    assert (config.run, config.selection.budget, config.selection.seed) == (root, 7, 3)


@pytest.mark.parametrize("verb", [*STARTING, *OTHERS])
def test_a_configuration_file_comes_first(root: str, tmp_path: Path, verb: str) -> None:
    file = tmp_path / "other.yaml"
    file.write_text("run: elsewhere\nsource: {path: images}\nselection: {budget: 8}\n")
    config = chosen_config(VERBS[verb], str(file), None, [root])
    assert (config.run, config.selection.budget) == (root, 8)
    assert chosen_config(VERBS[verb], str(file), None, []).run == "elsewhere"


@pytest.mark.parametrize("verb", STARTING)
def test_a_new_run_takes_the_default_and_says_so(
    tmp_path: Path, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    new = str(tmp_path / "new")
    config = chosen_config(VERBS[verb], None, new, ["selection.budget=3"])
    assert config == load_config(DEFAULT_CONFIG, ["selection.budget=3"], new)
    assert DEFAULT_CONFIG in capsys.readouterr().out
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("verb", OTHERS)
def test_other_verbs_need_a_run(tmp_path: Path, verb: str) -> None:
    new = tmp_path / "new"
    with pytest.raises(InputError, match="new must be a run directory, but it does not exist"):
        chosen_config(VERBS[verb], None, str(new), [])
    with pytest.raises(InputError, match=f"as in `otcondense {verb} RUN`"):
        chosen_config(VERBS[verb], None, None, ["selection.budget=3"])
    assert not new.exists()


@pytest.mark.parametrize("verb", [*STARTING, *OTHERS, "status", "dashboard"])
def test_an_empty_name_is_no_run(
    verb: str, root: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It must not stand for the working directory."""
    monkeypatch.chdir(root)
    more = {
        "card": ["--license=mit"],
        "export": ["--output=o"],
        "export_samples": ["--output=o"],
        "sweep": ["--sweep=demo"],
    }
    with pytest.raises(SystemExit):
        call(verb, ["", *more.get(verb, [])])
    assert "a run directory must have a name, found an empty one" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["run", "export"])
def test_two_runs_are_one_too_many(root: str, verb: str) -> None:
    with pytest.raises(InputError, match=r"one run directory is expected, found .*, budget; a set"):
        chosen_config(VERBS[verb], None, None, [root, "budget"])


def test_a_configuration_of_another_version_is_explained(root: str) -> None:
    with pytest.raises(InputError, match=r"did you mean selection\.budget"):
        chosen_config(VERBS["run"], None, root, ["selection.bugdet=3"])


@pytest.mark.parametrize("verb", ["run", "extract_features", "export"])
def test_what_is_at_a_wrong_path_is_told(tmp_path: Path, verb: str) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "list.txt").write_text("none")
    told = {
        "fotos": f"but it does not exist; did you mean {tmp_path / 'photos'}?",
        "far": "but it does not exist\n",
        "nowhere/photos": "but it does not exist\n",
        "photos": "found an empty folder\n",
        "list.txt": "there: it is no folder",
    }
    for name, text in told.items():
        with pytest.raises(InputError, match=re.escape(text)):
            chosen_config(VERBS[verb], None, None, [str(tmp_path / name)])
