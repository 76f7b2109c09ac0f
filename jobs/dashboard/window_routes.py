"""The address of a part of the classes, for runs that have very many."""

import time
from typing import Annotated

from fastapi import FastAPI, Query, Request
from fastapi.responses import Response

from jobs.dashboard.class_states import selection_progress
from jobs.dashboard.class_view import check_method
from jobs.dashboard.class_window import ClassWindow, Wanted, class_window
from jobs.dashboard.measures import MEASURES, STATES
from jobs.dashboard.replies import Pages, Timed, cache_by_cost, unless_known
from otcondense.errors import InputError
from otcondense.store import UnitProgress, read_all_progress

WINDOW_SECONDS = 1.0
"""Greatest age of a part, unless it takes long to read."""
WINDOWS_KEPT = 16


def add_windows(app: FastAPI, pages: Pages) -> None:
    """Add the address of a part of the classes."""

    @pages.kept(cache_by_cost(1, WINDOW_SECONDS))
    def progress() -> Timed[tuple[UnitProgress, ...]]:
        return Timed.of(lambda: selection_progress(pages.run, read_all_progress(pages.run.store)))

    @pages.kept(cache_by_cost(WINDOWS_KEPT, WINDOW_SECONDS))
    def body(wanted: Wanted) -> Timed[bytes]:
        def made() -> bytes:
            window = class_window(pages.run, progress().value, wanted, time.time())
            return window.model_dump_json(exclude_defaults=True).encode()

        return Timed.of(made)

    @app.get("/api/classes", response_model=ClassWindow)
    def classes(request: Request, wanted: Annotated[Wanted, Query()]) -> Response:
        """Return some classes under one method, filtered and sorted."""
        check_method(pages.run, wanted.method)
        _check_word("state", wanted.state, ["", *STATES])
        _check_word("order", wanted.order, ["class_name", "state", *MEASURES])
        return unless_known(request, body(wanted).value, "application/json", "no-cache")


def _check_word(name: str, word: str, known: list[str]) -> None:
    if word not in known:
        raise InputError(f"{name} must be one of {', '.join(known)}, found {word!r}")
