"""Serving the page of a run."""

import ipaddress
import os
import secrets
import sys

from jobs.dashboard.access import Access
from jobs.dashboard.app import create_app
from jobs.dashboard.server import listen, run_server
from jobs.run_directory.run import Run
from otcondense.errors import InputError

TOKEN_VARIABLE = "OTCONDENSE_PAGE_TOKEN"  # noqa: S105 - the name of a variable
SHORTEST_TOKEN = 16
"""Characters of a token that cannot be guessed over a network, if it is random."""
TOKEN_BYTES = 24
"""Random bytes of a token that is created here: 32 characters."""


def access_for(host: str, *, read_only: bool = False) -> Access:
    """Return the access rule of a page that listens on `host`.

    On loopback everybody may look; on other addresses a token is needed. It comes from the
    environment or is created. Only on loopback marks can be written, unless `read_only`.

    Raises: InputError if the token of the environment is too short.
    """
    token = os.environ.get(TOKEN_VARIABLE)
    if token is None and is_loopback(host):
        return Access(writes=not read_only)
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise InputError(
            f"{TOKEN_VARIABLE} must have at least {SHORTEST_TOKEN} characters, found {len(token)}"
        )
    writes = is_loopback(host) and not read_only
    return Access(token or secrets.token_urlsafe(TOKEN_BYTES), writes)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach a server on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(run: Run, host: str, port: int, *, read_only: bool = False) -> None:
    """Serve the page of a run until interrupted.

    Raises: InputError if it cannot listen there.
    """
    access = access_for(host, read_only=read_only)
    listener = listen(host, port)
    query = "" if access.token is None else f"/?token={access.token}"
    shown = f"[{host}]" if ":" in host else host
    print(f"http://{shown}:{listener.getsockname()[1]}{query}", flush=True)
    if not is_loopback(host):
        print(
            "anyone who reaches this port and has the token can look; "
            "the connection is not encrypted, prefer a tunnel to 127.0.0.1",
            file=sys.stderr,
        )
    with listener:
        run_server(create_app(run, access), listener)
