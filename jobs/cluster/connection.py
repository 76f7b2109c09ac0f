"""HTTP requests to the dashboard of a Ray cluster; every failure becomes one clear sentence."""

from __future__ import annotations

import json
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from jobs.cluster.auth_token import Token, authentication_mode, find_token
from otcondense.credentials import has_credentials
from otcondense.errors import InputError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOOPBACK = ("127.0.0.1", "localhost", "::1")
HOW_TO_REACH = (
    "is the cluster up, and the tunnel or port-forward to it (ssh -L 8265:127.0.0.1:8265 HEAD)?"
)
NOT_READY = "No available agent"
"""The dashboard answers this while the head node cannot start jobs yet."""
SILENT_SECONDS = 600.0
"""A dashboard that sends nothing for so long counts as unreachable. An overloaded head may take
minutes to start a job, and the job runs even if its client no longer waits."""


class UnreachableError(InputError):
    """No answer from the address. Unlike a refusal, this may pass."""


class NotReadyError(UnreachableError):
    """The cluster answers but has only just started."""


class MissingError(InputError):
    """The cluster does not have the requested object."""


class Connection:
    """Requests to one dashboard.

    Each request looks the token up again, so a changed token is used at once.

    Raises: InputError from every request if the cluster cannot be reached, asks for a token,
        refuses the token, or refuses the request.
    """

    def __init__(self, address: str) -> None:
        parts = _parts(address)
        if parts is None:
            raise InputError(
                "the address must be that of the dashboard, such as http://127.0.0.1:8265, "
                f"found {address!r}"
            )
        if has_credentials(address):
            raise InputError(
                "the address of a dashboard must hold no credentials, found some in it; Ray's "
                "token comes from RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token"
            )
        self.address = address.rstrip("/")
        self.is_plain_and_remote = parts.scheme == "http" and parts.hostname not in LOOPBACK
        self._opener = build_opener(_NoRedirects)

    def get(self, path: str) -> Any:
        """Return the JSON value at a path."""
        return self._json(self.request("GET", path))

    def post(self, path: str, value: Any = None) -> Any:
        """Send a JSON value and return the JSON value of the answer."""
        return self._json(self.request("POST", path, json.dumps(value).encode()))

    def request(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
    ) -> bytes:
        """Return the body of the answer to one request."""
        token = self._token()
        headers = dict(token.header) if token else {}
        if body is not None:
            headers["Content-Type"] = kind
        request = Request(self.address + path, body, headers, method=method)  # noqa: S310 - http(s)
        try:
            with self._opener.open(request, timeout=SILENT_SECONDS) as answer:
                return bytes(answer.read())
        except HTTPError as error:
            with error:
                raise self._refusal(error, token) from error
        except (OSError, HTTPException, UnicodeError) as error:  # UnicodeError: no valid host name
            raise self._unreachable(error) from error

    async def messages(self, path: str) -> AsyncIterator[str]:
        """Yield the text messages of a websocket until either side closes it.

        Raises: UnreachableError if the connection cannot be made or breaks.
        """
        import aiohttp

        token = self._token()
        headers = dict(token.header) if token else {}
        try:
            async with (
                aiohttp.ClientSession(headers=headers) as session,
                session.ws_connect(self.address + path, max_msg_size=0) as socket,
            ):
                async for message in socket:
                    if message.type == aiohttp.WSMsgType.TEXT:
                        yield message.data
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from error

    def _token(self) -> Token | None:
        return find_token() if authentication_mode() != "disabled" else None

    def _json(self, body: bytes) -> Any:
        try:
            return json.loads(body)
        except ValueError as error:
            raise self.unknown_answer() from error

    def unknown_answer(self) -> InputError:
        """Return the error for an answer that is not one of Ray's."""
        return InputError(
            f"the answer from {self.address} is not that of a Ray dashboard; "
            "correct the address, or use the same version of Ray here and there"
        )

    def _unreachable(self, error: Exception) -> UnreachableError:
        reason = error.reason if isinstance(error, URLError) else error
        return UnreachableError(
            f"the cluster at {self.address} cannot be reached; {HOW_TO_REACH} ({reason})"
        )

    def _refusal(self, error: HTTPError, token: Token | None) -> InputError:
        """Return what a status other than success means."""
        if error.code in (401, 403):
            return InputError(self._token_refusal(token))
        if 300 <= error.code < 400:
            return InputError(
                f"{self.address} redirects to {error.headers.get('Location')}; "
                "if that is your cluster, give that address"
            )
        text = error.read().decode(errors="replace")
        if NOT_READY in text:
            return NotReadyError(
                f"the cluster at {self.address} has no node yet that could start a job"
            )
        sentence = f"the cluster at {self.address} refuses this: {_reason(text, error.code)}"
        return MissingError(sentence) if error.code == 404 else InputError(sentence)

    def _token_refusal(self, token: Token | None) -> str:
        if token is None:
            return (
                f"the cluster at {self.address} asks for a token, found none here; "
                "put the cluster's token (there: ray get-auth-token) into ~/.ray/auth_token with "
                "mode 600, or into RAY_AUTH_TOKEN, and do not set RAY_AUTH_MODE=disabled"
            )
        return (
            f"the cluster at {self.address} refuses the token from {token.source}: it is another "
            "cluster's, or was changed since; "
            "fetch the cluster's token again (there: ray get-auth-token)"
        )


class _NoRedirects(HTTPRedirectHandler):
    """Follows no redirect: it would send the token to another server."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _parts(address: str) -> SplitResult | None:
    """Return the parts of an HTTP address, or None if it is not one."""
    try:
        parts = urlsplit(address)
        has_port = parts.port != 0
    except ValueError:
        return None
    is_http = parts.scheme in ("http", "https")
    return parts if is_http and parts.hostname and has_port else None


def _reason(text: str, code: int) -> str:
    """Return the last line of an answer, which names the error where Ray sends a traceback."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].strip(". ") if lines else f"HTTP status {code}"
