"""`otcondense submit`: the command line."""

import argparse
import os
from collections.abc import Sequence

from jobs.command.exit import exit_with
from jobs.command.parser import plain_parser

DEFAULT_ADDRESS = "http://127.0.0.1:8265"
EPILOG = """All other arguments are passed to the verb, as in
  otcondense submit run --config demo --run /shared/runs/demo --detach
`list`, `follow ID` and `stop ID` work on submitted jobs.
The token is Ray's own (RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH, ~/.ray/auth_token).
Exit status: that of the job; 2 for a mistake; 130 if the job was stopped, or if
you pressed Ctrl-C while following it."""


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = plain_parser("submit", epilog=EPILOG)
    address = os.environ.get("RAY_API_SERVER_ADDRESS", DEFAULT_ADDRESS)
    made.add_argument("verb", help="verb to run, or list, follow ID, stop ID")
    made.add_argument("--address", default=address, help=f"dashboard of the cluster [{address}]")
    made.add_argument("--id", help="name of the job; by default the cluster chooses one")
    made.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="environment variable of the job, not a secret; may be repeated",
    )
    made.add_argument(
        "--driver-cpus",
        type=_amount,
        default=0,
        help="CPUs reserved for the driver; 0 runs it on the head [0]",
    )
    made.add_argument(
        "--driver-gpus", type=_amount, default=0, help="GPUs reserved for the driver [0]"
    )
    how = made.add_mutually_exclusive_group()
    how.add_argument(
        "--follow",
        action="store_true",
        help="print the log until the job ends, then exit with its status (the default)",
    )
    how.add_argument("--detach", action="store_true", help="return once the job is submitted")
    return made


def _amount(text: str) -> float:
    """Return a number of CPUs or GPUs.

    Raises: argparse.ArgumentTypeError if it is not a number of at least 0.
    """
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of at least 0, found {text!r}")
    return value


def work(options: argparse.Namespace, others: Sequence[str]) -> int:
    """Run the verb."""
    from jobs.submit.command import Options, run
    from jobs.submit.request import JobRequest

    request = JobRequest(
        verb=options.verb.replace("-", "_"),
        arguments=tuple(others),
        submission_id=options.id,
        environment=tuple(options.env),
        driver_cpus=options.driver_cpus,
        driver_gpus=options.driver_gpus,
    )
    return run(Options(options.address, options.detach), request)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb and leave the process."""
    exit_with(lambda: work(*parser().parse_known_args(arguments)))


if __name__ == "__main__":
    main()
