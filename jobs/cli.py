"""The command line that all verbs share."""

import argparse
import os
import signal
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from typing import Any

from jobs.run_directory import Run, open_run
from jobs.settings import describe_fields, load_config
from otcondense.errors import InputError, storage_fault

Command = Callable[[Run, argparse.Namespace], None]
DEFAULT_CONFIG = "jobs/configs/demo.yaml"
MISTAKE = 2
INTERRUPTED = 130
GOES_ON = "what was finished is kept, the same command goes on from there"


class FieldHelp(argparse.Action):
    """Prints the usage and then every setting, its default and its meaning."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        parser.print_help()
        print("\nsettings (key=value on the command line, or in the configuration file; NAME is a name of your choice):")
        for name, default, meaning in describe_fields():
            print(f"  {name}  [{default}]")
            print(textwrap.fill(meaning, 110, initial_indent="      ", subsequent_indent="      "))
        parser.exit()


def parser_for(verb: str, description: str) -> argparse.ArgumentParser:
    """Return the command line that all verbs share."""
    parser = argparse.ArgumentParser(prog=f"python -m jobs.{verb}", description=description, add_help=False)
    parser.add_argument("-h", "--help", action=FieldHelp, nargs=0, help="show this and every setting, and exit")
    parser.add_argument("--config", default=DEFAULT_CONFIG, help=f"configuration file [{DEFAULT_CONFIG}]")
    parser.add_argument("--run", help="directory of the run, in place of the configuration's")
    parser.add_argument("--fresh", action="store_true", help="delete what an earlier run left in the directory")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings that override the configuration file's")
    return parser


def main(
    verb: str,
    description: str,
    stage: Callable[[Run], None],
    arguments: Sequence[str] | None = None,
    forecast: Callable[[Run], None] | None = None,
) -> None:
    """Run one stage, or print its forecast if it has one and is asked for it, and leave the process."""
    parser = parser_for(verb, description)
    if forecast is not None:
        parser.add_argument("--dry-run", action="store_true", help="print what would be done, with time, memory and storage; write nothing")
    run_verb(parser, lambda run, _: stage(run), arguments, forecast)


def run_verb(
    parser: argparse.ArgumentParser,
    command: Command,
    arguments: Sequence[str] | None = None,
    forecast: Callable[[Run], None] | None = None,
) -> None:
    """Run one verb and leave the process: 0 done, 2 a mistake of the user's or storage that failed, 130 interrupted."""
    options = parser.parse_intermixed_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    started = time.perf_counter()
    try:
        config = load_config(options.config, options.overrides, options.run)
        if forecast is not None and options.dry_run:
            forecast(Run(config))
            return
        with open_run(config, fresh=options.fresh) as run:
            command(run, options)
    except InputError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        sys.exit(MISTAKE)
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _leave)
        print(f"\ninterrupted; {GOES_ON}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as error:
        fault = storage_fault(error)
        if fault is None:
            raise
        print(f"\nerror: {fault.filename or 'storage'}: {fault.strerror}; {GOES_ON}", file=sys.stderr)
        sys.exit(MISTAKE)
    print(f"{parser.prog} done in {time.perf_counter() - started:.1f} s")


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _leave(*_: Any) -> None:
    """End at once where somebody does not wait for Ray to end; its processes notice that the driver is gone."""
    os._exit(INTERRUPTED)
