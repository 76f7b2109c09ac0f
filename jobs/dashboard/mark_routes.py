"""The addresses of marked images: what is marked, and the only request that writes."""

from cachetools import TTLCache
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse, Response
from pydantic import ValidationError

from jobs.dashboard.access import WRITES
from jobs.dashboard.marks import Marks, MarksView, Written, marks_view, write_marks
from jobs.dashboard.replies import Pages, unless_known
from otcondense.errors import InputError

MARKS_SECONDS = 60
"""Greatest age of the marks of the configuration; another configuration is read at once."""


def add_marks(app: FastAPI, pages: Pages, *, writes: bool) -> None:
    """Add the marks of the configuration, and the request that writes a file of marks.

    `AccessMiddleware` lets that request through only if it comes from the page itself.
    """

    @pages.kept(TTLCache(1, MARKS_SECONDS))
    def current() -> bytes:
        return marks_view(pages.run, writes=writes).model_dump_json().encode()

    @app.get("/api/marks", response_model=MarksView)
    def known_marks(request: Request) -> Response:
        """Return the images that the configuration includes and excludes."""
        return unless_known(request, current(), "application/json", "no-cache")

    def written(body: bytes) -> Response:
        try:
            made = write_marks(pages.run, Marks.model_validate_json(body))
        except ValidationError as error:
            # Not what was found: it may be no text, and has any length.
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            return PlainTextResponse(f"marks are wrong: {place}: {first['msg']}\n", 422)
        except (InputError, OSError) as error:
            return PlainTextResponse(f"{error}\n", 400)
        return Response(made.model_dump_json(), media_type="application/json")

    @app.post(WRITES, response_model=Written)
    async def new_marks(request: Request) -> Response:
        """Write a file of marks; return its path and the command that selects again."""
        return await run_in_threadpool(written, await request.body())
