"""The page's addresses, all of them read-only."""

import hashlib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from threading import Condition
from typing import Annotated, Any

from cachetools import TTLCache, cached
from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs, get_plotlyjs_version
from starlette.middleware.gzip import GZipMiddleware

from jobs.dashboard.access import REPORT as REPORT_PATH
from jobs.dashboard.access import Access, AccessMiddleware
from jobs.dashboard.class_view import class_view, read_selection
from jobs.dashboard.measures import MEASURES
from jobs.dashboard.overview import Overview, overview
from jobs.dashboard.pictures import media_type, sample_sheet, thumbnail
from jobs.dashboard.training_view import training_view
from jobs.run_directory.run import REPORT, Run
from otcondense.counts import counted
from otcondense.errors import InputError

HERE = Path(__file__).parent
OVERVIEW_SECONDS = 1.0
"""Greatest age of the overview; all viewers share one."""
PICTURES_KEPT = 4096
"""Thumbnails of all viewers that are kept in memory."""
PICTURE_SECONDS = 3600
"""The images of a source do not change while a run is looked at."""
CLASSES_KEPT = 64
CLASS_SECONDS = 60
"""A new selection of a class shows its pictures after this time."""
COMPRESSED_BYTES = 2000
"""Smaller answers are not compressed: it would save less than it costs."""
TAG_DIGITS = 24
"""Hexadecimal digits of an ETag: 96 bits, enough to tell versions of one page apart."""
Name = Annotated[str, Query(min_length=1, max_length=250)]
Side = Annotated[int, Query(ge=16, le=512)]


def create_app(run: Run, access: Access) -> FastAPI:
    """Return the page of a run as an ASGI application."""
    app = FastAPI(title="OTCondense", docs_url=None, redoc_url=None)
    app.add_middleware(GZipMiddleware, minimum_size=COMPRESSED_BYTES)
    app.add_middleware(AccessMiddleware, access=access)
    app.exception_handler(InputError)(_not_found)
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    pages = _environment()
    _add_overview(app, run, pages)
    _add_class(app, run, pages)
    _add_training(app, run, pages)
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
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}
    environment.globals.update(plotly_version=get_plotlyjs_version(), counted=counted)
    return environment


def _render(pages: Environment, template: str, run: Run, **values: Any) -> HTMLResponse:
    has_report = run.store.exists(REPORT)
    text = pages.get_template(template).render(
        run=run.config.run, has_report=has_report, has_models=bool(run.config.models), **values
    )
    return HTMLResponse(text, headers={"Cache-Control": "no-store"})


def _add_overview(app: FastAPI, run: Run, pages: Environment) -> None:
    @cached(TTLCache(1, OVERVIEW_SECONDS), condition=Condition())
    def current() -> tuple[Overview, bytes]:
        view = overview(run)
        return view, view.model_dump_json(exclude_defaults=True).encode()

    @app.get("/", response_class=HTMLResponse)
    def first_view() -> Response:
        """Show all stages and all classes."""
        view, _ = current()
        return _render(pages, "overview.html.j2", run, view=view, measures=MEASURES)

    @app.get("/api/run", response_model=Overview)
    def run_state(request: Request) -> Response:
        """Return the progress of the run."""
        _, body = current()
        return _unless_known(request, body, "application/json", "no-cache")

    @app.get(REPORT_PATH, response_class=HTMLResponse)
    def report() -> Response:
        """Show the report of the run."""
        if not run.store.exists(REPORT):
            raise InputError("this run has no report yet; run `otcondense report` first")
        return HTMLResponse(run.store.read_bytes(REPORT))


def _add_class(app: FastAPI, run: Run, pages: Environment) -> None:
    @cached(TTLCache(CLASSES_KEPT, CLASS_SECONDS), condition=Condition())
    def image_ids(method: str, name: str) -> list[str]:
        return read_selection(run, method, name).image_ids

    @cached(TTLCache(PICTURES_KEPT, PICTURE_SECONDS), condition=Condition())
    def small_picture(image_id: str, side: int) -> bytes:
        return thumbnail(run, image_id, side)

    @app.get("/class", response_class=HTMLResponse)
    def one_class(
        method: Name, name: Name, compare: Annotated[str, Query(max_length=250)] = ""
    ) -> Response:
        """Show one class under one method, or under two side by side."""
        shown = [method]
        if compare and compare != method:
            shown.append(compare)
        views = [class_view(run, one, name, number) for number, one in enumerate(shown)]
        others = [other for other in run.config.selection.subsets if other != method]
        return _render(
            pages,
            "class.html.j2",
            run,
            views=views,
            others=others,
            compare=compare,
            has_images=run.config.source.has_images,
        )

    @app.get("/image", response_class=Response)
    def picture(
        request: Request,
        method: Name,
        name: Name,
        row: Annotated[int, Query(ge=0)],
        side: Side = 96,
    ) -> Response:
        """Return one image of a class, by its row in the class."""
        known = image_ids(method, name)
        if row >= len(known):
            raise InputError(f"row must be one of the {len(known)} of class {name!r}, found {row}")
        data = small_picture(known[row], side)
        return _unless_known(request, data, media_type(data), "private, max-age=3600")


def _add_training(app: FastAPI, run: Run, pages: Environment) -> None:
    @app.get("/training", response_class=HTMLResponse)
    def training() -> Response:
        """Show losses and samples."""
        return _render(pages, "training.html.j2", run, view=training_view(run))

    @app.get("/samples", response_class=Response)
    def samples(
        request: Request, model: Name, method: Name, step: Annotated[int, Query(ge=0)]
    ) -> Response:
        """Return a sheet of samples of one checkpoint."""
        return _unless_known(
            request, sample_sheet(run, model, method, step), "image/png", "private, no-cache"
        )


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
        return _unless_known(request, load().encode(), kind, "private, max-age=3600")


def _of_report(name: str) -> str:
    return files("otcondense.report").joinpath(name).read_text(encoding="utf-8")


def _unless_known(request: Request, body: bytes, kind: str, caching: str) -> Response:
    """Return a body, or 304 if the browser already has it."""
    tag = f'W/"{hashlib.sha256(body).hexdigest()[:TAG_DIGITS]}"'
    headers = {"ETag": tag, "Cache-Control": caching}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=kind, headers=headers)
