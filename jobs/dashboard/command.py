"""Serving the page of a run."""

import ipaddress
import os
import secrets
import sys

import uvicorn

from jobs.dashboard.access import Access
from jobs.dashboard.app import create_app
from jobs.run_directory.run import Run
from otcondense.errors import InputError

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
        raise InputError(
            f"{TOKEN_VARIABLE} must have at least {SHORTEST_TOKEN} characters, found {len(token)}"
        )
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
        print(
            "anyone who reaches this port and has the token can look; it is not encrypted, prefer a tunnel to 127.0.0.1",
            file=sys.stderr,
        )
    # Addresses stand in no log: one of them carries the token.
    uvicorn.run(
        create_app(run, access),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
    )
