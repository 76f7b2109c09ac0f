"""The addresses of the views: overview, class, map of all classes, training."""

from contextlib import suppress
from typing import Annotated

from cachetools import TTLCache
from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, Response

from jobs.answers.read import read_answer
from jobs.dashboard.access import REPORT as REPORT_PATH
from jobs.dashboard.atlas import Atlas, atlas
from jobs.dashboard.class_view import class_view, read_selection
from jobs.dashboard.class_window import WINDOW
from jobs.dashboard.first_images import FirstImage, first_images
from jobs.dashboard.measures import MEASURES, STATE_MEANINGS, STATES, words_for_scripts
from jobs.dashboard.overview import Overview, overview
from jobs.dashboard.pictures import chosen_picture, sample_sheet
from jobs.dashboard.replies import Pages, Timed, cache_by_cost, unless_known
from jobs.dashboard.training_view import training_view
from jobs.run_directory.run import REPORT
from jobs.thumbnails.stored import Pictures, read_thumbnails
from otcondense.datasets.thumbnails import THUMBNAIL_SIDE, media_type
from otcondense.errors import InputError
from otcondense.report.answer import Answer

OVERVIEW_SECONDS = 1.0
"""Greatest age of the overview, unless it takes long to read; all viewers share one."""
ANSWER_SECONDS = 10.0
"""Greatest age of the answer: it is read from many files, and changes when a stage has ended."""
LATER: dict[str, object] = {"found": "The answer is being read."}
"""Stands for the answer of many classes or groups until it is read: a file of each is opened."""
PICTURE_BYTES = 64 * 2**20
"""Pictures of all viewers that are kept in memory."""
PICTURE_SECONDS = 3600
"""The images of a source do not change while a run is looked at."""
METHODS_KEPT = 16
"""Methods whose thumbnails are kept."""
CLASSES_KEPT = 64
CLASS_SECONDS = 60
"""A new selection of a class shows its pictures after this time."""
MAPS_KEPT = 2
MAP_SECONDS = 300
"""A map reads all features of the run."""
LARGEST_SIDE = 1024
"""Pixels of the largest picture that the page asks for: an image enlarged."""
Name = Annotated[str, Query(min_length=1, max_length=250)]
Side = Annotated[int, Query(ge=16, le=LARGEST_SIDE)]


def add_overview(app: FastAPI, pages: Pages) -> None:
    """Add the first view, its data and its answer."""

    def present() -> tuple[Overview, bytes]:
        view = overview(pages.run)
        return view, view.model_dump_json(exclude_defaults=True).encode()

    @pages.kept(cache_by_cost(1, OVERVIEW_SECONDS))
    def timed() -> Timed[tuple[Overview, bytes]]:
        return Timed.of(present)

    def current() -> tuple[Overview, bytes]:
        return timed().value

    def answer() -> Answer | str:
        try:
            return read_answer(pages.run)
        except (InputError, OSError) as error:
            return f"The answer cannot be read from here: {error}"

    @pages.kept(cache_by_cost(1, ANSWER_SECONDS))
    def timed_answer(_results: str) -> Timed[dict[str, object]]:
        return Timed.of(answer_values)

    def answer_values() -> dict[str, object]:
        found = answer()
        firsts: tuple[FirstImage, ...] = ()
        if isinstance(found, Answer) and found.subsets:
            with suppress(InputError, OSError):  # the view of the class says what is wrong
                firsts = first_images(pages.run, found.subsets[0].method)
        return {"found": found, "firsts": firsts, "side": THUMBNAIL_SIDE}

    @app.get("/", response_class=HTMLResponse)
    def first_view() -> Response:
        """Show the answer, all stages and all classes; the answer comes later if there are many."""
        view, _ = current()
        values = LATER if view.has_windows else timed_answer(view.results).value
        return pages.render(
            "overview.html.j2",
            view=view,
            **values,
            is_answered=not view.has_windows,
            window=WINDOW,
            measures=MEASURES,
            states=STATES,
            state_meanings=STATE_MEANINGS,
            words=words_for_scripts(),
        )

    @app.get("/answer", response_class=HTMLResponse)
    def answer_alone() -> Response:
        """Return the answer alone, for the first view while the run goes on."""
        return pages.render("answer.html.j2", **timed_answer(current()[0].results).value)

    @app.get("/api/run", response_model=Overview)
    def run_state(request: Request) -> Response:
        """Return the progress of the run."""
        _, body = current()
        return unless_known(request, body, "application/json", "no-cache")


def add_report(app: FastAPI, pages: Pages) -> None:
    """Add the report of the run."""

    @app.get(REPORT_PATH, response_class=HTMLResponse)
    def report() -> Response:
        """Show the report of the run."""
        store = pages.run.store
        if not store.exists(REPORT):
            raise InputError("this run has no report yet; run `otcondense report` first")
        return HTMLResponse(store.read_bytes(REPORT))


def add_class(app: FastAPI, pages: Pages) -> None:
    """Add the view of one class and the pictures of its images."""

    @pages.kept(TTLCache(CLASSES_KEPT, CLASS_SECONDS))
    def image_ids(method: str, name: str) -> list[str]:
        return read_selection(pages.run, method, name).image_ids

    @pages.kept(TTLCache(METHODS_KEPT, CLASS_SECONDS))
    def thumbnails(method: str) -> Pictures:
        return read_thumbnails(pages.run, method) or {}

    @pages.kept(TTLCache(PICTURE_BYTES, PICTURE_SECONDS, getsizeof=len))
    def small_picture(method: str, image_id: str, side: int) -> bytes:
        return chosen_picture(thumbnails(method), pages.run, image_id, side)

    @app.get("/class", response_class=HTMLResponse)
    def one_class(
        method: Name, name: Name, compare: Annotated[str, Query(max_length=250)] = ""
    ) -> Response:
        """Show one class under one method, or under two side by side."""
        run = pages.run
        shown = [method]
        if compare and compare != method:
            shown.append(compare)
        views = [class_view(run, one, name, number) for number, one in enumerate(shown)]
        others = [other for other in run.config.selection.subsets if other != method]
        return pages.render(
            "class.html.j2",
            views=views,
            others=others,
            compare=compare,
            measures=MEASURES,
            thumbnail_side=THUMBNAIL_SIDE,
            large_side=LARGEST_SIDE,
        )

    @app.get("/image", response_class=Response)
    def picture(
        request: Request,
        method: Name,
        name: Name,
        row: Annotated[int, Query(ge=0)],
        side: Side = THUMBNAIL_SIDE,
    ) -> Response:
        """Return one image of a class, by its row in the class."""
        known = image_ids(method, name)
        if row >= len(known):
            raise InputError(f"row must be one of the {len(known)} of {name!r}, found {row}")
        data = small_picture(method, known[row], side)
        return unless_known(request, data, media_type(data), "private, no-cache")


def add_map(app: FastAPI, pages: Pages) -> None:
    """Add the map of all classes."""

    @pages.kept(TTLCache(MAPS_KEPT, MAP_SECONDS))
    def drawn(method: str) -> bytes:
        return atlas(pages.run, method).model_dump_json().encode()

    @app.get("/map", response_class=HTMLResponse)
    def map_of_classes(method: Annotated[str, Query(max_length=250)] = "") -> Response:
        """Show the map of all classes under one method."""
        methods = pages.run.config.selection.subsets
        shown = method if method in methods else methods[0]
        return pages.render("map.html.j2", method=shown, methods=methods)

    @app.get("/api/map", response_model=Atlas)
    def map_data(request: Request, method: Name) -> Response:
        """Return the points of the map."""
        return unless_known(request, drawn(method), "application/json", "no-cache")


def add_training(app: FastAPI, pages: Pages) -> None:
    """Add the view of the training, and the samples of its checkpoints."""

    @app.get("/training", response_class=HTMLResponse)
    def training() -> Response:
        """Show losses and samples."""
        return pages.render("training.html.j2", view=training_view(pages.run))

    @app.get("/samples", response_class=Response)
    def samples(
        request: Request, model: Name, method: Name, step: Annotated[int, Query(ge=0)]
    ) -> Response:
        """Return a sheet of samples of one checkpoint."""
        sheet = sample_sheet(pages.run, model, method, step)
        return unless_known(request, sheet, "image/png", "private, no-cache")
