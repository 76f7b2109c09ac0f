"""`--help-settings [PREFIX]`: the settings of a verb, with defaults and meanings."""

import argparse
import textwrap
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from jobs.command.exit import MISTAKE
from jobs.command.fields import FieldText, describe_fields, describe_groups, is_below
from jobs.command.parser import OwnParser
from otcondense.near_names import nearest_settings, suggested

WIDTH = 80
INDENT = " " * 6
OF_A_RUN = "settings (key=value on the command line, or in the configuration file)"
"""Title of the settings of a run, which have no prefix of their own."""
NOTE = "NAME is a name of your choice; null means that a setting is not set."

Sections = dict[str, tuple[str, type[BaseModel]]]
"""Title and settings by prefix: that of a run is empty, the file of `--sweep` has `sweep`."""


class VerbParser(OwnParser):
    """The command line of a verb that has settings."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.sections: Sections = {}
        self.add_argument(
            "--help-settings",
            action=_SettingsHelp,
            nargs="?",
            const="",
            metavar="PREFIX",
            help="list the settings, all or those below a prefix such as selection, and exit",
        )


class _SettingsHelp(argparse.Action):
    """Prints the settings of the verb."""

    def __call__(self, parser: argparse.ArgumentParser, _: Any, values: Any, *__: Any) -> None:
        assert isinstance(parser, VerbParser)
        lines = settings_help(parser.sections, values)
        if not lines:
            parser.exit(MISTAKE, f"error: {_unknown(parser.sections, values)}\n")
        print("\n".join(lines))
        parser.exit()


def settings_help(sections: Sections, prefix: str) -> list[str]:
    """Return the lines about all settings, or those below a prefix; none for an unknown one."""
    if prefix and prefix in sections:
        title, model = sections[prefix]
        return _section(title, describe_groups(model))
    lines: list[str] = []
    for title, model in sections.values():
        if prefix:
            fields = [each for each in describe_fields(model) if is_below(each.name, prefix)]
        else:
            fields = list(describe_groups(model))
        lines += _section(title, fields) if fields else []
    return [*lines, NOTE] if lines else []


def _section(title: str, fields: Iterable[FieldText]) -> list[str]:
    lines = [f"{title}:"]
    for field in fields:
        default = f"  [{field.default}]" if field.default else ""
        lines += textwrap.wrap(
            f"{field.name}{default}",
            WIDTH,
            initial_indent="  ",
            subsequent_indent=INDENT,
            break_long_words=False,
        )
        lines += textwrap.wrap(
            field.meaning, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT
        )
    return [*lines, ""]


def _unknown(sections: Sections, prefix: str) -> str:
    """Return the sentence about a prefix that no setting has."""
    names = [name for name in sections if name]
    for _, model in sections.values():
        for field in describe_fields(model):
            names += [field.name, field.name.rpartition(".")[0]]
    near = suggested(nearest_settings(prefix, filter(None, names)))
    return f"no setting begins with {prefix}{near or '; without a prefix all are listed'}"
