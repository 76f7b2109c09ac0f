"""A page to watch a run and to look at what was chosen: `python -m jobs.dashboard RUN`.

It reads the run's files alone: while the run goes on, and equally when Ray is gone. On a cluster, start it where the run's
files can be read, and look at it through a tunnel:

    ssh -L 8266:127.0.0.1:8266 HEAD 'cd otcondense && python -m jobs.dashboard /shared/runs/demo'
    kubectl exec HEAD-POD -- python -m jobs.dashboard /shared/runs/demo
    kubectl port-forward HEAD-POD 8266:8266

or on a laptop with the keys of the bucket: `python -m jobs.dashboard s3://bucket/runs/demo`.
"""

import argparse
import ipaddress
import os
import secrets
import sys
from collections.abc import Sequence

import uvicorn

from jobs.cli import MISTAKE
from jobs.page import Access, create_app
from jobs.run_directory import Run, read_run
from otcondense.errors import InputError

PORT = 8266
TOKEN_VARIABLE = "OTCONDENSE_PAGE_TOKEN"  # noqa: S105 - the name of a variable
SHORTEST_TOKEN = 16


def access_for(host: str) -> Access:
    """Return who is let in by a page that listens on `host`: everybody on loopback, else whoever has the token.

    The token is taken from the environment, or made.

    Raises: InputError if the given token is too short.
    """
    token = os.environ.get(TOKEN_VARIABLE)
    if token is None and is_loopback(host):
        return Access()
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise InputError(f"{TOKEN_VARIABLE} must have at least {SHORTEST_TOKEN} characters, found {len(token)}")
    return Access(token or secrets.token_urlsafe(24))


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches what listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(run: Run, host: str, port: int) -> None:
    """Serve the page of a run until interrupted."""
    access = access_for(host)
    query = "" if access.token is None else f"/?token={access.token}"
    print(f"http://{host}:{port}{query}", flush=True)
    if not is_loopback(host):
        print("anyone who reaches this port and has the token can look; it is not encrypted, prefer a tunnel to 127.0.0.1", file=sys.stderr)
    # Addresses stand in no log: one of them carries the token.
    uvicorn.run(create_app(run, access), host=host, port=port, log_level="warning", access_log=False, server_header=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the page and leave the process: 0 interrupted, 2 a mistake of the user's."""
    parser = argparse.ArgumentParser(
        prog="python -m jobs.dashboard", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="directory of the run, or its URI such as s3://bucket/run")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on [127.0.0.1]; any other needs a token")
    parser.add_argument("--port", type=int, default=PORT, help=f"port to listen on [{PORT}]")
    options = parser.parse_args(arguments)
    try:
        serve(read_run(options.run), options.host, options.port)
    except InputError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        sys.exit(MISTAKE)


if __name__ == "__main__":
    main()
