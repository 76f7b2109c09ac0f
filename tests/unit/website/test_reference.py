"""The pages that are made from the code name all of it."""

import re
from pathlib import Path

import pytest
import yaml

from jobs.command.fields import describe_groups
from jobs.command.verbs import VERBS
from otcondense import __version__
from website.reference import PACKAGES, commands_page, public_names, settings_page

STUBS = sorted(Path("otcondense").glob("*/__init__.pyi"))


def test_every_package_with_public_names_has_a_page() -> None:
    assert {stub.parent.name for stub in STUBS} == set(PACKAGES)


@pytest.mark.parametrize("stub", STUBS, ids=lambda stub: stub.parent.name)
def test_every_public_name_is_on_its_page(stub) -> None:
    exported = re.search(r"__all__ = \[(.*?)\]", stub.read_text(), re.DOTALL)
    names = set(re.findall(r'"(\w+)"', exported[1]))
    assert {each.name for each in public_names(stub, stub.parent.name)} == names


def test_every_command_is_on_its_page_with_its_help() -> None:
    page = commands_page()
    for name in VERBS:
        section = page.partition(f"### {name}\n")[2].partition("\n### ")[0]
        assert "usage:" in section, name


def test_every_setting_is_on_its_page() -> None:
    page = settings_page()
    assert all(f"| `{setting.name}` |" in page for setting in describe_groups())


def test_the_citation_has_the_version() -> None:
    assert yaml.safe_load(Path("CITATION.cff").read_text())["version"] == __version__
