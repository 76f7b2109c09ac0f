"""Access to the page: the token, and the limits that browsers enforce."""

import secrets
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from starlette.datastructures import URL, Headers, MutableHeaders, QueryParams
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "otcondense-page"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
PAGE_POLICY = (
    # Plotly writes styles into its figures. Scripts, images and data come from this page only.
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
REPORT = "/report"
"""Path of the report, a file that holds its own scripts, styles and images."""
REPORT_POLICY = (
    # The report's own policy also names its scripts by their hashes. A sandbox gives it an origin
    # of its own: whatever is in the file cannot read the page or send anything anywhere.
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "connect-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "sandbox allow-scripts allow-downloads"
)
WRITES = "/marks"
"""Path of the only request that writes."""
MARKS_HEADER = "X-OTCondense-Marks"
"""Header of a request that writes: a foreign page cannot send it without asking first, and this
page answers no such question (CORS)."""
MOST_BYTES = 8 * 2**20
"""Bytes of a request that writes."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Access:
    """Decides which requests are answered.

    With a token, every request must carry it. Without one, the page answers only requests to
    loopback names, so that a foreign page cannot reach it under another name (DNS rebinding).
    """

    token: str | None = None
    writes: bool = False
    """Whether the page may write a file of marks into the run."""

    def admits(self, headers: Headers, query: QueryParams) -> bool:
        """Tell whether a request may be answered."""
        if self.token is None:
            return _host_name(headers.get("host", "")) in LOOPBACK
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        given = (query.get("token", ""), cookie, bearer)
        return any(_equal(token, self.token) for token in given)

    def refuses_write(self, headers: Headers) -> Response | None:
        """Return the answer to a request that may not write; None if it may.

        The page itself must have sent it: its origin is the host that it asks, it has a header that
        no form and no foreign page can set, and it says what it sends and how long that is.
        """
        origin = urlsplit(headers.get("origin", "")).netloc
        is_own = bool(origin) and origin == headers.get("host", "")
        site = headers.get("sec-fetch-site", "same-origin")
        if not is_own or site != "same-origin" or MARKS_HEADER not in headers:
            return PlainTextResponse("only this page itself can write marks\n", 403)
        if headers.get("content-type") != "application/json":
            return PlainTextResponse("marks must be sent as application/json\n", 415)
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()):
            return PlainTextResponse("the length of the marks must be given\n", 411)
        if len(length) > len(str(MOST_BYTES)) or int(length) > MOST_BYTES:
            return PlainTextResponse(f"marks must have at most {MOST_BYTES} bytes\n", 413)
        return None

    def refusal(self, headers: Headers) -> Response:
        """Return the answer to a request that is not admitted."""
        if self.token is None:
            return PlainTextResponse(
                f"this page answers only to {', '.join(sorted(LOOPBACK))}, "
                f"found {headers.get('host', '')!r}\n",
                421,
            )
        return PlainTextResponse(
            "this page needs its token: open the address that `otcondense dashboard` printed\n",
            401,
        )


class AccessMiddleware:
    """Admits requests by `Access`, and sets the headers that isolate the page.

    It moves a token from the address into a cookie that scripts cannot read.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        query = QueryParams(scope["query_string"])
        answer: ASGIApp = self._app
        is_write = self._access.writes and (scope["method"], scope["path"]) == ("POST", WRITES)
        if not is_write and scope["method"] not in ("GET", "HEAD"):
            answer = PlainTextResponse("this page can only be read\n", 405, {"Allow": "GET, HEAD"})
        elif not self._access.admits(headers, query):
            answer = self._access.refusal(headers)
        elif is_write:
            answer = self._access.refuses_write(headers) or self._app
        elif self._access.token is not None and "token" in query:
            answer = self._keep_token(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                sent.update(HEADERS)
                is_report = scope["path"].rstrip("/") == REPORT
                sent["Content-Security-Policy"] = REPORT_POLICY if is_report else PAGE_POLICY
            await send(message)

        await answer(scope, receive, send_with_headers)

    def _keep_token(self, scope: Scope) -> Response:
        assert self._access.token is not None
        url = URL(scope=scope).remove_query_params("token")
        # To a browser, //host and /\\host are addresses of another host.
        path = "/" + quote(scope["path"].lstrip("/\\"))
        response = RedirectResponse(f"{path}?{url.query}" if url.query else path, 303)
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
