"""The command lines of the verbs: shared options, and `--help` with every setting."""

import argparse
import textwrap
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from jobs.command.exit import RESUME, exit_with
from jobs.command.fields import FieldText, describe_fields
from jobs.command.settings import load_config
from jobs.command.verbs import VERBS
from jobs.run_directory.opening import open_run
from jobs.run_directory.run import Run
from otcondense.config import Config

RunCommand = Callable[[Run, argparse.Namespace], None]
DEFAULT_CONFIG = "jobs/configs/demo.yaml"
HELP_WIDTH = 100


class SettingsHelp(argparse.Action):
    """Prints the usage and then every setting, its default and its meaning."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        parser.print_help()
        print(
            "\nsettings (key=value on the command line, or in the configuration file; "
            "NAME is a name of your choice):"
        )
        print("\n".join(settings_lines(describe_fields())))
        parser.exit()


def settings_lines(fields: Iterable[FieldText]) -> list[str]:
    """Return the lines of `--help` that describe settings."""
    lines = []
    indent = " " * 6
    for field in fields:
        lines.append(f"  {field.name}  [{field.default}]")
        lines += textwrap.wrap(
            field.meaning, HELP_WIDTH, initial_indent=indent, subsequent_indent=indent
        )
    return lines


def run_parser(verb: str) -> argparse.ArgumentParser:
    """Return the parser of a verb that works on a configured run."""
    parser = argparse.ArgumentParser(
        prog=f"python -m jobs.{verb}",
        description=VERBS[verb].summary + ".",
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument(
        "-h", "--help", action=SettingsHelp, nargs=0, help="show this and every setting, and exit"
    )
    parser.add_argument(
        "--config", default=DEFAULT_CONFIG, help=f"configuration file [{DEFAULT_CONFIG}]"
    )
    parser.add_argument("--run", help="run directory; overrides the configuration file")
    parser.add_argument(
        "--fresh", action="store_true", help="delete the files of an earlier run in that directory"
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="settings that override the configuration file",
    )
    return parser


def describe_file(parser: argparse.ArgumentParser, option: str, model: type[Config]) -> None:
    """Add to the help of a verb the fields of the file that one of its options names."""
    lines = [f"fields of the file of {option}, with their defaults:", *_file_lines(model)]
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n".join(lines)


def _file_lines(model: type[Config]) -> list[str]:
    lines: list[str] = []
    group = ""
    for field in describe_fields(model):
        outer = field.name.split(".")[0]
        if outer not in (field.name, group):  # a group of fields has a meaning too
            meaning = model.model_fields[outer].description or ""
            lines += settings_lines([FieldText(f"{outer}.NAME", "", meaning)])
        lines += settings_lines([field])
        group = outer
    return lines


def run_on_directory(
    parser: argparse.ArgumentParser,
    command: RunCommand,
    arguments: Sequence[str] | None = None,
    forecast: Callable[[Run], None] | None = None,
) -> None:
    """Run a verb on its run directory and leave the process.

    Args:
        parser: from `run_parser`.
        command: the verb.
        arguments: the command line; None reads the process's own.
        forecast: prints what the verb would do; it adds the option `--dry-run`.
    """
    if forecast is not None:
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="print the work with its time, memory and storage; write nothing",
        )

    def work() -> None:
        options = parser.parse_intermixed_args(arguments)
        started = time.perf_counter()
        config = load_config(options.config, options.overrides, options.run)
        if forecast is not None and options.dry_run:
            forecast(Run(config))
            return
        with open_run(config, fresh=options.fresh) as run:
            command(run, options)
        print(f"{parser.prog} done in {time.perf_counter() - started:.1f} s")

    exit_with(work, advice=RESUME)
