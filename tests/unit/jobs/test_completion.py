"""Completion in shells: verbs, options, settings and names of shipped files."""

import shutil
import subprocess
from pathlib import Path

import pytest

from jobs.command.fields import describe_fields
from jobs.command.verbs import VERBS
from jobs.completion.command import completion

BUDGETS = "selection.budgets="


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "otcondense"
    path.write_text(completion("bash"))
    return path


def completed(script: Path, *words: str) -> list[str]:
    """Return what bash offers for the last of the words."""
    program = (
        f"source {script}\n"
        'COMP_WORDS=(otcondense "$@"); COMP_CWORD=$#\n'
        '_otcondense\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "-c", program, "bash", *words], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["extr"], {"extract_features", "extract_latents", "extract_tokens", "extract_text"}),
        (["--v"], {"--version"}),
        (["run", "--fr"], {"--fresh"}),
        (["run", "--dry"], {"--dry-run"}),
        (["export-samples", "--mo"], {"--model"}),
        (["run", "selection.budget"], {"selection.budget=", "selection.budgets="}),
        (["run", "mod"], {"models."}),
        (["run", "--config", "dem"], {"demo"}),
        (["compare", "--compare", "demo"], {"demo", "demo-repeats"}),
        (["convert", "from"], {"from-public"}),
        (["measure", "sampl"], {"samples="}),
        (["run", "--train", ""], {"tiny"}),
        (["export", "--format", "im"], {"image_folder"}),
        (["export", "--format", "=", "im"], {"image_folder"}),
        (["export_samples", "--format", "="], {"npz", "png", "parquet"}),
        (["select", "--method", "k_c"], {"k_center"}),
        (["run", "--on", "he"], {"here"}),
        (["export", "--output", ""], set()),  # bash offers names of files
        (["train", "--run", ""], set()),
        (["submit", "sel"], {"select", "select_subset"}),
        (["submit", "fol"], {"follow"}),
        (["submit", "--detach", "run", "selection.budget"], {"selection.budget=", BUDGETS}),
        (["submit", "run", "--train", "t"], {"tiny"}),
        (["dashboard", "selection."], set()),
        (["nosuch", "--"], set()),
    ],
)
def test_bash_completes_a_command_line(script: Path, words: list[str], expected: set[str]) -> None:
    assert set(completed(script, *words)) == expected


def test_bash_offers_every_verb(script: Path) -> None:
    assert set(completed(script, "")) == {*VERBS, "--help", "--version"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_all_verbs_and_settings(shell: str, tmp_path: Path) -> None:
    text = completion(shell)
    assert all(verb in text for verb in VERBS)
    names = [field.name for field in describe_fields() if ".NAME" not in field.name]
    assert all(f"{name}=" in text for name in names)
    program = shutil.which(shell)
    if program is not None:  # a machine of CI has bash only
        (tmp_path / "script").write_text(text)
        checked = subprocess.run([program, "-n", tmp_path / "script"], capture_output=True)
        assert checked.returncode == 0, checked.stderr
