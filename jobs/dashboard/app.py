"""The page's addresses; all of them read but one, which writes a file of marks."""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs, get_plotlyjs_version
from starlette.middleware.gzip import GZipMiddleware

from jobs.dashboard.access import Access, AccessMiddleware
from jobs.dashboard.followed import FollowedRun
from jobs.dashboard.mark_routes import add_marks
from jobs.dashboard.replies import Pages, unless_known
from jobs.dashboard.routes import add_class, add_map, add_overview, add_report, add_training
from jobs.dashboard.window_routes import add_windows
from jobs.run_directory.run import Run
from otcondense.counts import counted
from otcondense.datasets.names import ORDER_OF_CLASSES
from otcondense.errors import InputError
from otcondense.report.page import unbroken
from otcondense.shares import percent

HERE = Path(__file__).parent
COMPRESSED_BYTES = 2000
"""Smaller answers are not compressed: it would save less than it costs."""


def create_app(run: Run, access: Access) -> FastAPI:
    """Return the page of a run as an ASGI application."""
    app = FastAPI(title="OTCondense", docs_url=None, redoc_url=None)
    app.add_middleware(GZipMiddleware, minimum_size=COMPRESSED_BYTES)
    app.add_middleware(AccessMiddleware, access=access)
    app.exception_handler(InputError)(_not_found)
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    pages = Pages(FollowedRun(run), _environment())
    add_overview(app, pages)
    add_report(app, pages)
    add_windows(app, pages)
    add_class(app, pages)
    add_map(app, pages)
    add_training(app, pages)
    add_marks(app, pages, writes=access.writes)
    _add_assets(app)
    return app


async def _not_found(_request: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", 404)


def _environment() -> Environment:
    loader = ChoiceLoader(
        [FileSystemLoader(HERE / "templates"), PackageLoader("otcondense.report", "")]
    )
    environment = Environment(
        loader=loader,
        autoescape=True,
        finalize=unbroken,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}
    environment.globals.update(
        plotly_version=get_plotlyjs_version(),
        counted=counted,
        percent=percent,
        order_of_classes=ORDER_OF_CLASSES,
    )
    return environment


def _add_assets(app: FastAPI) -> None:
    assets: dict[str, tuple[str, Callable[[], str]]] = {
        "plotly.js": ("text/javascript", get_plotlyjs),
        "draw_plots.js": ("text/javascript", lambda: _of_report("draw_plots.js.j2")),
        "style.css": ("text/css", lambda: _of_report("style.css")),
    }

    @app.get("/assets/{name}", response_class=Response)
    def asset(request: Request, name: str) -> Response:
        """Return a script or a style sheet that the page shares with the report."""
        if name not in assets:
            raise InputError(f"there is no asset {name!r}")
        kind, load = assets[name]
        return unless_known(request, load().encode(), kind, "private, max-age=3600")


def _of_report(name: str) -> str:
    return files("otcondense.report").joinpath(name).read_text(encoding="utf-8")
