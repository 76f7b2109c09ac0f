"""The command `otcondense`: it finds the workflow from any directory and starts its verbs."""

import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from jobs.command.verbs import GROUPS, VERBS
from otcondense import __version__, command

ROOT = Path.cwd()
HEAVY = ("numpy", "torch", "ray", "pydantic", "tqdm", "yaml", "scipy")


def run(
    *words: str, directory: Path | str = ROOT, before: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, after some Python code."""
    program = f"import sys; sys.argv = {['otcondense', *words]!r}\n{before}\n"
    program += "from otcondense.command import main\nmain()\n"
    program += f"print([each for each in {HEAVY} if each in sys.modules])"
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=120,
    )


def test_alone_it_lists_the_verbs_in_four_groups_and_loads_nothing_heavy(tmp_path: Path) -> None:
    done = run(directory=tmp_path)
    assert done.returncode == 0, done.stderr
    *lines, heavy = done.stdout.splitlines()
    assert heavy == "[]"
    assert [line for line in lines if line in GROUPS] == list(GROUPS)
    assert len(GROUPS) == 4
    listed = {line.split()[0] for line in lines if line.startswith("  ")}
    assert listed == {*VERBS, "otcondense"}
    assert sum(line.startswith("  otcondense ") for line in lines) == 2


@pytest.mark.parametrize("verb", ["export_samples", "export-samples"])
def test_a_verb_is_found_from_any_directory(tmp_path: Path, verb: str) -> None:
    done = run(verb, "--help", directory=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("exprot", "exprot is not a verb; did you mean export"),
        ("export-sample", "did you mean export_samples"),
        ("../run", "is not a verb; "),
        ("xyzzy", "xyzzy is not a verb; `otcondense` lists the verbs"),
        ("command", "command is not a verb; "),  # a folder of jobs, but no verb
    ],
)
def test_an_unknown_verb_is_answered_with_the_nearest(word: str, sentence: str) -> None:
    done = run(word)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_it_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["--version"])
    assert capsys.readouterr().out == f"otcondense {__version__}\n"


def test_without_the_workflow_packages_a_verb_says_what_installs_them() -> None:
    """As after `pip install otcondense`: none of the packages of the extra can be found."""
    hidden = (
        "import importlib.util\n"
        "found = importlib.util.find_spec\n"
        "hide = lambda name, package=None: None if name in ('ray', 'tqdm') else found(name)\n"
        "importlib.util.find_spec = hide"
    )
    done = run("run", before=hidden)
    assert done.returncode == 2
    assert done.stderr.startswith("error: `otcondense run` needs the packages of the workflow, ")
    assert "found no ray, tqdm in " in done.stderr
    assert "-m pip install" in done.stderr
    assert ".venv/bin/otcondense" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    alone = run(before=hidden)
    assert alone.returncode == 0
    assert alone.stdout.startswith("These commands need packages that are not here; install: `")


@pytest.mark.parametrize("form", ["checkout", "wheel", "index"])
def test_the_advice_fits_how_it_was_installed(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `pip install .`, the checkout is not next to the package; no index has it."""
    installed, checkout = tmp_path / "site-packages", tmp_path / "my checkout"
    record = installed / "otcondense-1.0.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: otcondense\nVersion: 1.0\n")
    checkout.mkdir()
    for name in ("pyproject.toml", "constraints.txt"):
        (checkout / name).touch()
    url = {"checkout": checkout.as_uri(), "wheel": "file:///w/otcondense-1.0.whl"}.get(form)
    if url is not None:
        (record / "direct_url.json").write_text(json.dumps({"url": url}))
    monkeypatch.setattr(command, "PACKAGE", installed / "otcondense")
    monkeypatch.syspath_prepend(str(installed))
    advice = {
        "checkout": f"install -c constraints.txt '.[workflow]'` in {checkout}",
        "wheel": "install 'otcondense[workflow] @ file:///w/otcondense-1.0.whl'`",
        "index": "install 'otcondense[workflow]'`",
    }
    assert command.install_command().endswith(advice[form])


def test_every_package_of_the_extra_is_looked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = {
        canonicalize_name(Requirement(line).name)
        for line in project["optional-dependencies"]["workflow"]
    }
    distributions = packages_distributions()
    looked_for = {
        canonicalize_name(name) for module in command.NEEDED for name in distributions[module]
    }
    assert looked_for == extra


def test_the_folders_of_a_wheel_come_before_others_beside_it(tmp_path: Path) -> None:
    """Another project's `jobs` among the installed packages is not ours."""
    package = tmp_path / "otcondense"
    assert command.workflow_folder(package) is None
    for place in (tmp_path, package / "_workflow"):
        for name in command.FOLDERS:
            (place / name).mkdir(parents=True)
            (place / name / "__init__.py").touch()
    assert command.workflow_folder(package) == package / "_workflow"


def test_processes_that_a_verb_starts_find_the_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", "/other")
    command._make_importable(ROOT)
    command._make_importable(ROOT)
    assert os.environ["PYTHONPATH"] == f"{ROOT}{os.pathsep}/other"
