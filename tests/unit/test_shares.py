"""Shares in words: one form in everything that a user reads, and gaps that stay proven."""

import re
from pathlib import Path

import pytest

from otcondense.shares import gap_text, percent

ROOT = Path(__file__).parents[2]
FOLDERS = ("jobs", "otcondense", "pipeline", "actors", "website")
OWN_FORM = re.compile(r":\.?[0-9]*%\}|\{\{[^}]*\}\} ?%|\$\{[^}]*\} ?%")
"""A share in braces of Python, of a template or of a script, with a form of its own."""
IN_CODE = re.compile(r"```.*?```|`[^`]*`|^ {4}.*?$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.0838, "8.4 %"),
        (0.0831, "8.4 %"),
        (0.05, "5.0 %"),
        (1 - 0.95, "5.0 %"),
        (0.01, "1.0 %"),
        (0.0004, "0.04 %"),
        (0.00031, "0.04 %"),
        (0.0, "0.00 %"),
        (-1e-9, "0.00 %"),
        (1.0, "100.0 %"),
    ],
)
def test_a_gap_is_rounded_up(share: float, expected: str) -> None:
    assert gap_text(share) == expected


def test_a_share_is_rounded_to_the_nearest() -> None:
    assert (percent(0.0831), percent(0.5, 0)) == ("8.3 %", "50 %")


def test_every_share_is_written_by_one_function() -> None:
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*")]
    own = {ROOT / "otcondense/shares.py", ROOT / "jobs/dashboard/static/percent.js"}
    found = []
    for file in files:
        if file.suffix in (".py", ".j2", ".js") and file not in own:
            texts = file.read_text(encoding="utf-8").splitlines()
            found += [f"{file}: {line}" for line in texts if OWN_FORM.search(line)]
    # These are CSS: the width of a bar, and a colour.
    assert not [each for each in found if "width:" not in each and "hsl(" not in each]


def test_the_documentation_writes_shares_in_the_same_form() -> None:
    for file in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        text = IN_CODE.sub("", file.read_text(encoding="utf-8"))
        assert not re.search(r"[0-9]%", text), file
