"""A client of the page without a server."""

from fastapi.testclient import TestClient

from jobs.dashboard.access import Access
from jobs.dashboard.app import create_app
from jobs.run_directory.run import Run


def client(
    run: Run, token: str | None = None, host: str = "127.0.0.1", *, writes: bool = False
) -> TestClient:
    """Return a client that asks the page of a run as a browser at `host` would."""
    app = create_app(run, Access(token, writes))
    return TestClient(app, base_url=f"http://{host}", raise_server_exceptions=False)
