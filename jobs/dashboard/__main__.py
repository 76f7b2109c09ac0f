"""`otcondense dashboard`: the command line."""

import argparse
from collections.abc import Sequence

from jobs.command.exit import exit_with
from jobs.command.parser import plain_parser

PORT = 8266
LARGEST_PORT = 65_535
PORT_DIGITS = 5
DESCRIPTION = """Serve a page that shows a run and its chosen images.

The page reads only the files of the run, during the run and after Ray has
ended. It writes nothing but the files of images that you mark (RUN/marks).
On a cluster, start it on a machine that can read the files, and open it
through a tunnel:

    ssh -L 8266:127.0.0.1:8266 HEAD \\
        'otcondense/.venv/bin/otcondense dashboard /shared/runs/demo'
    kubectl exec HEAD-POD -- otcondense dashboard /shared/runs/demo
    kubectl port-forward HEAD-POD 8266:8266

or on a laptop that can read the bucket:

    otcondense dashboard s3://bucket/runs/demo
"""


def port(text: str) -> int:
    """Return the port that an argument names.

    Raises: argparse.ArgumentTypeError if it is not a number of 0 to 65535.
    """
    digits = text.lstrip("0") or "0"
    is_number = text.isascii() and text.isdigit() and len(digits) <= PORT_DIGITS
    if not is_number or int(digits) > LARGEST_PORT:
        raise argparse.ArgumentTypeError(
            f"must be a number of 0 (any free port) to {LARGEST_PORT}, found {text!r}"
        )
    return int(digits)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = plain_parser("dashboard", DESCRIPTION)
    made.add_argument("run", help="run directory, or its URI such as s3://bucket/run")
    made.add_argument(
        "--host", default="127.0.0.1", help="address to listen on [127.0.0.1]; others need a token"
    )
    made.add_argument("--port", type=port, default=PORT, help=f"port to listen on [{PORT}]")
    made.add_argument(
        "--read-only",
        action="store_true",
        help="write no file of marked images; on other addresses than loopback it never does",
    )
    return made


def work(options: argparse.Namespace) -> None:
    """Run the verb."""
    from jobs.dashboard.command import serve
    from jobs.run_directory.opening import read_run

    serve(read_run(options.run), options.host, options.port, read_only=options.read_only)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb and leave the process."""
    exit_with(lambda: work(parser().parse_args(arguments)))


if __name__ == "__main__":
    main()
