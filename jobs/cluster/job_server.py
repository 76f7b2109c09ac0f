"""Talking to the job server of a Ray cluster over HTTP: the token in the header, every refusal in plain words."""

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

from jobs.cluster.auth_token import Token, authentication_mode, find_token
from otcondense.errors import InputError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
NOT_READY = "No available agent"
HOW_TO_REACH = (
    "is the cluster up, and the tunnel or port-forward to it (ssh -L 8265:127.0.0.1:8265 HEAD)?"
)
Answer = TypeVar("Answer")


class UnreachableError(InputError):
    """Nothing answers at the address: it may later, unlike a refusal."""


class NotReadyError(UnreachableError):
    """The cluster answers, but has only just started."""


class JobServer:
    """The job server of one cluster; the token is looked up anew for each call, so that one changed meanwhile is used.

    Raises: InputError from every call if the cluster cannot be reached, asks for a token, refuses the one it is given, or does not
        know the job.
    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(
                f"the address must be that of the dashboard, such as http://127.0.0.1:8265, found {address!r}"
            )
        self.address = address.rstrip("/")
        self.host = parts.hostname
        self.is_plain_and_remote = parts.scheme == "http" and self.host not in LOOPBACK

    def call(self, ask: Callable[[JobSubmissionClient], Answer]) -> Answer:
        """Return what `ask` gets from a connected client."""
        token = find_token() if authentication_mode() != "disabled" else None
        try:
            return ask(JobSubmissionClient(self.address, headers=token.header if token else None))
        except AuthenticationError as error:
            raise InputError(self._refusal(token)) from error
        except (ConnectionError, requests.exceptions.RequestException) as error:
            raise UnreachableError(
                f"the cluster at {self.address} cannot be reached; {HOW_TO_REACH}"
            ) from error
        except RuntimeError as error:
            if NOT_READY in str(error):
                raise NotReadyError(
                    f"the cluster at {self.address} has no node yet that could start a job"
                ) from error
            reason = next(
                (line for line in reversed(str(error).splitlines()) if line.strip()),
                type(error).__name__,
            ).strip(". ")
            raise InputError(f"the cluster at {self.address} refuses this: {reason}") from error

    def _refusal(self, token: Token | None) -> str:
        if token is None:
            return (
                f"the cluster at {self.address} asks for a token, found none here; put the cluster's token (there: ray get-auth-token) "
                "into ~/.ray/auth_token with mode 600, or into RAY_AUTH_TOKEN, and do not set RAY_AUTH_MODE=disabled"
            )
        return (
            f"the cluster at {self.address} refuses the token from {token.source}: it is another cluster's, or was changed since; "
            "fetch the cluster's token again (there: ray get-auth-token)"
        )
