"""The board: a named actor that mirrors the progress of a stage, and gives Ray's metrics.

Nothing depends on it: it can die at any time, and the files that the driver writes are what lasts.
"""

import uuid
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError

from actors.metrics import StageMetrics
from otcondense.store import hash8

Changes = dict[str, dict[str, Any]]
"""By the name of a unit, what has changed of it, by the names of `otcondense.store.UnitProgress`."""
NAME = "otcondense-progress"


class Board:
    """State of every unit of a stage, in memory."""

    def __init__(self, stage: str) -> None:
        self._life = uuid.uuid4().hex
        self._units: Changes = {}
        self._news: Changes = {}
        self._metrics = StageMetrics(stage)

    def report(self, name: str, changes: dict[str, Any]) -> None:
        """Take in what a worker says of its unit."""
        self._metrics.reported(self._units.get(name, {}), changes)
        self._news.setdefault(name, {}).update(changes)
        self._units.setdefault(name, {}).update(changes)

    def exchange(self, changes: Changes) -> tuple[str, Changes]:
        """Take in what the driver knows; return which life of the board this is, and what workers have said since the last call."""
        for name, each in changes.items():
            self._metrics.changed(self._units.get(name, {}), each)
            self._units.setdefault(name, {}).update(each)
        self._metrics.show(self._units.values())
        news, self._news = self._news, {}
        return self._life, news

    def units(self) -> Changes:
        """Return all that is known, by unit."""
        return self._units


def open_board(root: str, stage: str) -> ActorHandle:
    """Start the board of a stage of the run at `root`; while the driver lives, others find it by `find_board`.

    Where the name is taken (trials of a sweep select in one run at a time) the board has none: it is its driver's alone.
    """
    actor, settings = ray.remote(Board), {"num_cpus": 0, "max_restarts": -1}
    handle: ActorHandle
    try:
        handle = actor.options(**settings, name=f"{NAME}-{stage}", namespace=hash8(root)).remote(
            stage
        )
    except ValueError:
        handle = actor.options(**settings).remote(stage)
    return handle


def find_board(root: str, stage: str) -> ActorHandle:
    """Return the board of a stage of the run at `root`.

    Raises: ValueError if none is up, as `ray.get_actor` does.
    """
    handle: ActorHandle = ray.get_actor(f"{NAME}-{stage}", namespace=hash8(root))
    return handle


class BoardLink:
    """The driver's end: sends changes and fetches news without ever waiting for the board."""

    def __init__(self, board: ActorHandle) -> None:
        self._board = board
        self._life = ""
        self._all: Changes = {}
        self._unsent: Changes = {}
        self._answer: ray.ObjectRef | None = None

    def note(self, name: str, changes: dict[str, Any]) -> None:
        """Have a change sent with the next exchange."""
        self._all.setdefault(name, {}).update(changes)
        self._unsent.setdefault(name, {}).update(changes)

    def exchange(self) -> Changes:
        """Return what workers have said, as far as it has come in; a board that was started anew gets everything again."""
        news: Changes = {}
        if self._answer is not None:
            if not ray.wait([self._answer], timeout=0)[0]:
                return news
            news = self._receive(self._answer)
        self._answer = self._board.exchange.remote(self._unsent)
        self._unsent = {}
        return news

    def _receive(self, answer: ray.ObjectRef) -> Changes:
        try:
            life, news = ray.get(answer)
        except RayError:  # the board is a mirror: what is lost with it is sent again
            life, news = "", {}
        if life != self._life:
            self._life, self._unsent = life, {name: dict(each) for name, each in self._all.items()}
        return news
