"""Answers of the page: rendered templates, and bodies that a browser may already have."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition
from typing import Any, Generic, ParamSpec, TypeVar

from cachetools import Cache, TLRUCache, cached
from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment

from jobs.dashboard.followed import FollowedRun
from jobs.run_directory.groups import unit_word
from jobs.run_directory.run import REPORT, Run
from otcondense.counts import plural_of

TAG_DIGITS = 24
"""Hexadecimal digits of an ETag: 96 bits, enough to tell versions of one page apart."""
COST_PAUSE = 10.0
"""What takes long to make is kept for so many times as long: a page takes a tenth of a core."""
LONGEST_PAUSE = 15.0
"""Seconds after which it is made again nevertheless: the first time takes longer than the next."""

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Timed(Generic[Result]):
    """A value, and the seconds that it took to make."""

    value: Result
    seconds: float

    @classmethod
    def of(cls, make: Callable[[], Result]) -> "Timed[Result]":
        """Make a value."""
        started = time.monotonic()
        value = make()
        return cls(value, time.monotonic() - started)


def cache_by_cost(size: int, seconds: float) -> Cache[Any, Timed[Any]]:
    """Return a cache of `Timed` values; each is kept as long as its cost demands.

    Args:
        size: values to keep.
        seconds: the shortest time to keep a value.
    """

    def end(_key: object, made: Timed[Any], now: float) -> float:
        return now + max(seconds, min(LONGEST_PAUSE, COST_PAUSE * made.seconds))

    return TLRUCache(size, ttu=end, timer=time.monotonic)


@dataclass(frozen=True)
class Pages:
    """The templates of one run, and what was read of it."""

    followed: FollowedRun
    environment: Environment

    @property
    def run(self) -> Run:
        """The run with its present configuration."""
        return self.followed.run

    def kept(
        self, cache: Cache[Any, Any]
    ) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
        """Keep results of a function until they are too old or the configuration has changed."""

        def key(*values: Any) -> Any:
            return (self.followed.version, *values)

        made: Any = cached(cache, key=key, condition=Condition())
        return made  # type: ignore[no-any-return]

    def render(self, template: str, **values: Any) -> HTMLResponse:
        """Return a page of the run; everything in `values` is escaped."""
        unit = unit_word(self.run.config)
        text = self.environment.get_template(template).render(
            unit=unit,
            units=plural_of(unit),
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
