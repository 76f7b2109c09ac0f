"""Who may look at the page, and what a browser may do with it."""

import asyncio
from typing import Any
from urllib.parse import urljoin

import pytest

from jobs.dashboard.access import Access, AccessMiddleware
from jobs.dashboard.app import create_app
from jobs.dashboard.command import TOKEN_VARIABLE, access_for
from jobs.run_directory.run import Run
from otcondense.errors import InputError
from tests.unit.dashboard.pages import client

TOKEN = "a-token-of-the-test"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_the_page_is_read_only(run: Run, method: str) -> None:
    with client(run) as page:
        assert page.request(method, "/api/run").status_code == 405


def test_without_a_token_only_loopback_names_are_answered(run: Run) -> None:
    for host, status in (
        ("localhost", 200),
        ("127.0.0.1:8266", 200),
        ("[::1]:8266", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
    ):
        with client(run) as page:
            assert page.get("/api/run", headers={"Host": host}).status_code == status, host


def test_a_token_is_required_and_removed_from_the_address(run: Run) -> None:
    with client(run, TOKEN, "cluster.example") as page:
        for address in (
            "/",
            "/api/run",
            "/image?method=random&name=ant&row=0",
            "/static/page.css",
            "/openapi.json",
            f"/?token={TOKEN}x",
        ):
            answer = page.get(address)
            assert answer.status_code == 401, address
            assert "ant" not in answer.text
        assert page.get("/api/run", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        moved = page.get(f"/class?method=random&name=ant&token={TOKEN}", follow_redirects=False)
        assert (moved.status_code, moved.headers["location"]) == (
            303,
            "/class?method=random&name=ant",
        )
        assert {"HttpOnly", "SameSite=strict"} <= set(moved.headers["set-cookie"].split("; "))
        assert page.get("/api/run").status_code == 200


def test_every_answer_has_the_headers_that_isolate_the_page(run: Run) -> None:
    with client(run) as page:
        for address in ("/", "/api/run", "/nothing", "/assets/plotly.js"):
            headers = page.get(address).headers
            assert "script-src 'self';" in headers["Content-Security-Policy"]
            assert headers["X-Content-Type-Options"] == "nosniff"
        for address in ("/report", "/report/"):
            policy = page.get(address).headers["Content-Security-Policy"]
            assert "default-src 'none';" in policy
            assert "connect-src 'none';" in policy
            assert "sandbox allow-scripts" in policy
            assert "allow-same-origin" not in policy


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "///evil.example/x", "/\\evil.example", "/\\/evil.example", "/\t/evil", "/"],
)
def test_a_token_never_leads_to_another_host(path: str, run: Run) -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "query_string": f"token={TOKEN}&a=b".encode(),
        "headers": [(b"host", b"cluster.example")],
    }
    asyncio.run(
        AccessMiddleware(create_app(run, Access(TOKEN)), Access(TOKEN))(scope, receive, send)
    )
    target = dict(sent[0]["headers"])[b"location"].decode()
    assert sent[0]["status"] == 303
    assert target.startswith("/")
    assert target.endswith("?a=b")
    assert target[1] not in "/\\\t"
    assert urljoin("http://cluster.example/", target).startswith("http://cluster.example/")


def test_addresses_other_than_loopback_get_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert (
        access_for("127.0.0.1").token
        is access_for("localhost").token
        is access_for("::1").token
        is None
    )
    made = {
        access_for("0.0.0.0").token,
        access_for("10.0.0.7").token,
        access_for("head.example").token,
    }
    assert len(made) == 3
    assert all(token is not None and len(token) >= 32 for token in made)
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    assert access_for("127.0.0.1").token == access_for("0.0.0.0").token == TOKEN
    monkeypatch.setenv(TOKEN_VARIABLE, "short")
    with pytest.raises(InputError, match="at least 16 characters"):
        access_for("0.0.0.0")
