"""Commands that pages show exist, with their options and settings."""

import functools
import re
import shlex
from pathlib import Path

import pytest

from jobs.command.verbs import VERBS
from jobs.run_directory.config import RunConfig
from tests.unit.website.pages import PAGES
from website.reference import help_of

LINE = re.compile(
    r"^(?:    )?(?:\.venv/bin/)?otcondense (?P<rest>(?:[^\n]*\\\n)*[^\n]*)$", re.MULTILINE
)
INLINE = re.compile(r"`otcondense (?P<verb>[a-z_-]+)")
OPTION = re.compile(r"--[a-z][a-z-]*")
WITHOUT_VERB = {"--version", "--help"}
WITH_ACTIONS = ("convert",)
"""Verbs whose options are those of an action."""
WRITTEN = [page for page in PAGES if page != "CHANGELOG.md" and not page.startswith(".github")]
"""Changes name earlier commands too, and templates have gaps to fill in."""


def words_of(text):
    """The arguments of a command without its comment."""
    return shlex.split(text.replace("\\\n", " "), comments=True)


COMMANDS = [
    pytest.param(words_of(match["rest"]), id=f"{page}: {match['rest'][:60]}")
    for page in WRITTEN
    for match in LINE.finditer(Path(page).read_text())
]


@functools.cache
def options_of(verb, *actions):
    return frozenset(OPTION.findall(help_of(VERBS[verb], *actions)))


def known(word):
    return word.replace("-", "_") in VERBS


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_in_a_block_exists_with_its_options(words) -> None:
    verbs = [word.replace("-", "_") for word in words if known(word)]
    assert known(words[0]) or words[0] in WITHOUT_VERB
    options = {"--help"}.union(*(options_of(verb) for verb in verbs))
    if words[0] in WITH_ACTIONS:
        options = options_of(*words[:2])
    used = {word.partition("=")[0] for word in words if word.startswith("--") and word != "--"}
    assert used <= options

    if verbs and VERBS[verbs[0]].takes_config:
        keys = [word.partition("=")[0] for word in words if re.match(r"[a-z_]+(\.[\w.]+)?=", word)]
        assert {key.partition(".")[0] for key in keys} <= set(RunConfig.model_fields)


@pytest.mark.parametrize("page", WRITTEN)
def test_verbs_in_a_line_exist(page) -> None:
    for match in INLINE.finditer(Path(page).read_text()):
        assert known(match["verb"]), match[0]
