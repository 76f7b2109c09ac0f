"""Who may look at the page, and what browsers may do with it."""

import secrets
from dataclasses import dataclass

from starlette.datastructures import URL, Headers, MutableHeaders, QueryParams
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "otcondense-page"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
HEADERS = {
    # Plotly writes styles into its figures; scripts, images and data come from here alone.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
OWN_POLICY = "/report"
"""The report brings a policy of its own, which allows the scripts that stand in it."""


@dataclass(frozen=True)
class Access:
    """Whom the page lets in.

    Without a token only requests to this machine's own names are answered, so that no page from elsewhere can reach it
    under a name of its own (DNS rebinding); with one, every request must bring it.
    """

    token: str | None = None

    def admits(self, headers: Headers, query: QueryParams) -> bool:
        """Tell whether a request may be answered."""
        if self.token is None:
            return _host_name(headers.get("host", "")) in LOOPBACK
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        return any(_equal(each, self.token) for each in (query.get("token", ""), cookie, bearer))

    def refusal(self, headers: Headers) -> Response:
        """Return the answer to a request that is not admitted."""
        if self.token is None:
            return PlainTextResponse(
                f"this page answers to {', '.join(sorted(LOOPBACK))} alone, found {headers.get('host', '')!r}\n",
                421,
            )
        return PlainTextResponse(
            "this page needs its token: open the address that `python -m jobs.dashboard` printed\n",
            401,
        )


class AccessMiddleware:
    """Lets requests in by `Access`, only reading ones, and sets the headers that keep the page to itself.

    A token in the address is moved into a cookie that scripts cannot read, and out of the address bar.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, query = Headers(scope=scope), QueryParams(scope["query_string"])
        answer: ASGIApp = self._app
        if scope["method"] not in ("GET", "HEAD"):
            answer = PlainTextResponse("this page can only be read\n", 405, {"Allow": "GET, HEAD"})
        elif not self._access.admits(headers, query):
            answer = self._access.refusal(headers)
        elif self._access.token is not None and "token" in query:
            answer = self._keep_token(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                for name, value in HEADERS.items():
                    if scope["path"] != OWN_POLICY or name != "Content-Security-Policy":
                        MutableHeaders(scope=message)[name] = value
            await send(message)

        await answer(scope, receive, send_with_headers)

    def _keep_token(self, scope: Scope) -> Response:
        assert self._access.token is not None
        url = URL(scope=scope).remove_query_params("token")
        response = RedirectResponse(f"{url.path}?{url.query}" if url.query else url.path, 303)
        response.set_cookie(
            COOKIE,
            self._access.token,
            httponly=True,
            samesite="strict",
            secure=url.scheme == "https",
        )
        return response


def _equal(given: str, token: str) -> bool:
    return secrets.compare_digest(given.encode(), token.encode())


def _host_name(host: str) -> str:
    """Return a Host header without its port."""
    return host.rsplit(":", 1)[0] if host.rsplit(":", 1)[-1].isdigit() else host
