"""A real headless Chromium and a real server on loopback."""

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from jobs.dashboard.access import Access
from jobs.dashboard.app import create_app
from jobs.run_directory.run import Run

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The machine's own Chromium; CI must have one."""
    program = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if program is None:
        assert not os.environ.get("CI"), "CI must have Chromium: .ci/run installs it"
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield found
        found.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Serve runs on loopback; returns the address of each."""
    servers: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(run: Run, token: str | None = None, *, writes: bool = False) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(create_app(run, Access(token, writes)), log_level="error")
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        servers.append((server, thread))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for server, thread in servers:
        server.should_exit = True
        thread.join()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Open an address; every error in the page's console and every dialog fails the test."""
    contexts, faults = [], []

    def start(url: str, *, expected: str = "", **settings: object) -> Page:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console",
            lambda message: (
                faults.append(message.text)
                if message.type == "error" and message.text != expected
                else None
            ),
        )
        page.on("dialog", lambda dialog: faults.append(f"dialog {dialog.message}"))
        page.goto(url)
        return page

    yield start
    for context in contexts:
        context.close()
    assert not faults
