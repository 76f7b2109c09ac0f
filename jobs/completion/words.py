"""The words that can follow a verb on the command line."""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jobs.command.fields import describe_fields
from jobs.command.parser import parser_of
from jobs.command.settings_help import VerbParser
from jobs.command.verbs import OF_JOBS, VERBS
from jobs.command.yaml_files import SHIPPED, SUFFIX
from otcondense.forecast.hardware import PRESETS
from otcondense.selection import SELECTORS

FILES = {"--config": "configuration", "--compare": "comparison", "--sweep": "sweep"}
"""Options that take the name of a shipped file, and the kind of the file."""
NAMES = {"--method": tuple(SELECTORS), "--on": (*PRESETS, "cluster", "here")}
"""Options whose values are known, but not all of them."""
NAME = "NAME"
"""Part of a setting that stands for a name of the user's choice."""
SUBMIT = "submit"
"""The verb that other verbs follow."""


@dataclass(frozen=True)
class VerbWords:
    """What can follow a verb."""

    name: str
    summary: str
    words: tuple[str, ...]
    """Options, and the commands of a verb that has some."""
    settings: tuple[str, ...]
    """Beginnings of settings, such as `selection.budget=`."""
    values: Mapping[str, tuple[str, ...]]
    """What can follow each option that takes a value; nothing stands for names of files."""

    @property
    def spellings(self) -> tuple[str, ...]:
        """The verb with its underscores, and with hyphens."""
        return tuple(dict.fromkeys([self.name, self.name.replace("_", "-")]))


def every_verb() -> list[VerbWords]:
    """Return the verbs in the order of their table."""
    return [_words(name) for name in VERBS]


def _words(name: str) -> VerbWords:
    parser = parser_of(name)
    words: list[str] = []
    for action in parser._actions:
        words += action.option_strings or [str(choice) for choice in action.choices or ()]
    if name == SUBMIT:
        words += [*OF_JOBS, *(verb.name for verb in VERBS.values() if verb.runs_on_cluster)]
    settings: tuple[str, ...] = ()
    if isinstance(parser, VerbParser) and "" in parser.sections:
        _, model = parser.sections[""]
        fields = [field.name for field in describe_fields(model)]
        settings = tuple(dict.fromkeys(map(_beginning, fields)))
    values = dict(_values(parser))
    return VerbWords(name, VERBS[name].summary, tuple(words), settings, values)


def _values(parser: argparse.ArgumentParser) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each option that takes a value, with the values that are known."""
    for action in parser._actions:
        for option in action.option_strings if action.nargs != 0 else ():
            choices = tuple(str(choice) for choice in action.choices or ())
            if option in FILES:
                choices = shipped_names(option)
            yield option, choices or NAMES.get(option, ())


def _beginning(setting: str) -> str:
    """Return the part of a setting that can be completed: up to a name of the user's choice."""
    before, separator, _ = setting.partition(f".{NAME}")
    return f"{before}." if separator else f"{setting}="


def shipped_names(option: str) -> tuple[str, ...]:
    """Return the names of the shipped files that an option takes, sorted."""
    return tuple(sorted(path.stem for path in SHIPPED[FILES[option]].glob(f"*{SUFFIX}")))
