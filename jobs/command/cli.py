"""The command lines of the verbs that work on a run: shared options, and how a verb runs."""

import argparse
import pkgutil
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from jobs.command.choice import DEFAULT_CONFIG, chosen_config
from jobs.command.exit import DONE, RESUME, exit_with
from jobs.command.recording import recorded
from jobs.command.settings_help import OF_A_RUN, VerbParser
from jobs.command.verbs import VERBS, Verb
from jobs.command.without_ray import on_ray_or_here
from jobs.run_directory.config import RunConfig
from jobs.run_directory.fresh import confirm, deletion_of
from jobs.run_directory.opening import reading_run, working_run
from jobs.run_directory.run import Run
from jobs.run_directory.stages import Access
from otcondense.config import Config
from otcondense.errors import InputError, MissingInputError
from otcondense.forecast.hardware import PRESETS, Hardware
from otcondense.store import is_driven

RunCommand = Callable[[Run, argparse.Namespace], int | None]
TRACKING = "jobs.trackers.tracking:tracking"
"""Entry of the trackers, as stages have entries: they read what stages of all kinds write."""


def run_parser(verb: str, words: str = "RUN key=value") -> VerbParser:
    """Return the parser of a verb that works on a run.

    Args:
        verb: name in `VERBS`.
        words: what the arguments without an option are.
    """
    chosen = VERBS[verb]
    parser = VerbParser(
        prog=f"otcondense {verb}", description=f"{chosen.summary}.", allow_abbrev=False
    )
    parser.sections[""] = (OF_A_RUN, RunConfig)
    default = "the run's own"
    if chosen.access is Access.STARTS:
        default += f", or {DEFAULT_CONFIG} for a new run"
    parser.add_argument("--config", help=f"configuration file [{default}]")
    parser.add_argument("--run", help="run directory, the same as RUN")
    if chosen.can_be_fresh:
        _add_fresh(parser)
    parser.add_argument(
        "words",
        nargs="*",
        metavar=words,
        help=f"{'folder of images, or ' if 'FOLDER' in words else ''}run directory, or its URI "
        "such as s3://bucket/run; settings that override the configuration",
    )
    parser.set_defaults(verb=chosen)
    return parser


def _add_fresh(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="make the results of this stage again; the old ones, and those of the stages that use "
        "them, are deleted at the end; says which, and asks",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before --fresh deletes")


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """Add the option `--dry-run`, and `--on` for the hardware that it forecasts for."""
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the work with its time, cost, memory and storage; write nothing",
    )
    parser.add_argument(
        "--on",
        metavar="HARDWARE",
        help=f"hardware of --dry-run: {', '.join(PRESETS)}, cluster (of RAY_ADDRESS), here, or a "
        ".yaml file (--help-settings on) [cluster if RAY_ADDRESS is set; else cluster.gpus if "
        "that is set; else here, or 8xH100 for a run that needs GPUs which are not here]",
    )
    describe_file(parser, "--on", Hardware)


def describe_file(parser: argparse.ArgumentParser, option: str, model: type[Config]) -> None:
    """Let `--help-settings` list the fields of the file that an option of a verb names."""
    assert isinstance(parser, VerbParser)
    title = f"fields of the file of {option}, with their defaults"
    parser.sections[option.removeprefix("--")] = (title, model)


def run_on_directory(
    parser: argparse.ArgumentParser,
    command: RunCommand,
    arguments: Sequence[str] | None = None,
    forecast: Callable[[Run, str | None], None] | None = None,
    choose: Callable[[argparse.Namespace], RunConfig] | None = None,
) -> None:
    """Run a verb on its run directory and leave the process.

    Args:
        parser: from `run_parser`.
        command: the verb.
        arguments: the command line; None reads the process's own.
        forecast: prints what the verb would do on the hardware of `--on`; it adds the options
            `--dry-run` and `--on`.
        choose: returns the configuration; by default that of a file or of the run.
    """
    if forecast is not None:
        add_dry_run(parser)

    def work() -> int:
        options = parser.parse_intermixed_args(arguments)
        started = time.perf_counter()
        config = (choose or _chosen)(options)
        if forecast is not None and options.dry_run:
            forecast(Run(config), options.on)
            return DONE
        if forecast is not None and options.on is not None:
            raise InputError("--on is for --dry-run only, found it without; add --dry-run")
        status = _open_and_run(config, command, options)
        if status == DONE and not options.verb.prints_result:
            print(f"{parser.prog} done in {time.perf_counter() - started:.1f} s")
        return status

    exit_with(work, advice=RESUME)


def _chosen(options: argparse.Namespace) -> RunConfig:
    return chosen_config(options.verb, options.config, options.run, options.words)


def _open_and_run(config: RunConfig, command: RunCommand, options: argparse.Namespace) -> int:
    """Run a verb on its run directory, opened as the verb needs it; return its exit status."""
    verb = options.verb
    if verb.access is Access.READS:
        return _read(reading_run(config), command, options)
    is_fresh = verb.can_be_fresh and options.fresh
    with working_run(config, may_start=verb.access is Access.STARTS, check=is_fresh) as run:
        if not is_fresh:
            return _recorded(run, command, options)
        deletion = deletion_of(run, verb.name)
        confirm(deletion, yes=options.yes)
        with deletion.in_force():
            return _recorded(run, command, options)


def _recorded(run: Run, command: RunCommand, options: argparse.Namespace) -> int:
    """Run a verb that works on a run, and note there how it ended."""
    with recorded(run.store, options.verb.name), _tracked(run, options.verb):
        return _run(run, command, options)


def _tracked(run: Run, verb: Verb) -> AbstractContextManager[None]:
    """Return what shows a run in its trackers; they are not imported for a run without."""
    if not verb.is_stage or not run.config.trackers.names:
        return nullcontext()
    tracked: AbstractContextManager[None] = pkgutil.resolve_name(TRACKING)(run, verb.name)
    return tracked


def _read(run: Run, command: RunCommand, options: argparse.Namespace) -> int:
    """Run a verb that only reads; what is missing comes later if a driver is at the run."""
    try:
        return command(run, options) or DONE
    except MissingInputError as error:
        if is_driven(run.store):
            raise InputError(
                f"{error}: a run is at it; wait for it, `otcondense status {run.config.run}` says "
                "how far it is"
            ) from error
        raise


def _run(run: Run, command: RunCommand, options: argparse.Namespace) -> int:
    """Run a verb; stages work in this process if there shall be no Ray."""
    if not options.verb.is_stage:
        return command(run, options) or DONE
    return on_ray_or_here(run, lambda each: command(each, options)) or DONE
