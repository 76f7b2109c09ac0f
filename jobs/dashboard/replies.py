"""Answers of the page: rendered templates, and bodies that a browser may already have."""

import hashlib
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment

from jobs.run_directory.run import REPORT, Run

TAG_DIGITS = 24
"""Hexadecimal digits of an ETag: 96 bits, enough to tell versions of one page apart."""


@dataclass(frozen=True)
class Pages:
    """The templates of one run."""

    run: Run
    environment: Environment

    def render(self, template: str, **values: Any) -> HTMLResponse:
        """Return a page of the run; everything in `values` is escaped."""
        text = self.environment.get_template(template).render(
            run=self.run.config.run,
            has_report=self.run.store.exists(REPORT),
            has_models=bool(self.run.config.models),
            has_images=self.run.config.source.has_images,
            **values,
        )
        return HTMLResponse(text, headers={"Cache-Control": "no-store"})


def unless_known(request: Request, body: bytes, kind: str, caching: str) -> Response:
    """Return a body, or 304 if the browser already has it."""
    tag = f'W/"{hashlib.sha256(body).hexdigest()[:TAG_DIGITS]}"'
    headers = {"ETag": tag, "Cache-Control": caching}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=kind, headers=headers)
