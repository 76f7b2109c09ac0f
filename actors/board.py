"""The board: a named actor that mirrors the progress of a stage and exports Ray's metrics.

Nothing depends on it, and it can die at any time: the driver keeps the progress in files.
"""

import uuid
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError

from actors.metrics import StageMetrics
from actors.units import ChangesByUnit, UnitChanges
from otcondense.store import hash8

NAME = "otcondense-progress"


class Board:
    """The state of every unit of a stage, in memory."""

    def __init__(self, stage: str) -> None:
        self._life = uuid.uuid4().hex
        self._units: ChangesByUnit = {}
        self._news: ChangesByUnit = {}
        self._metrics = StageMetrics(stage)

    def report(self, name: str, changes: UnitChanges) -> None:
        """Take in the changes that a worker reports of its unit."""
        self._metrics.reported(self._units.get(name, {}), changes)
        _merge(self._news, name, changes)
        _merge(self._units, name, changes)

    def exchange(self, changes: ChangesByUnit) -> tuple[str, ChangesByUnit]:
        """Take in the changes that the driver knows.

        Returns: an identifier that differs after each restart of the board, and the changes that
            workers have reported since the last call.
        """
        for name, each in changes.items():
            self._metrics.changed(self._units.get(name, {}), each)
            _merge(self._units, name, each)
        self._metrics.show(self._units.values())
        news = self._news
        self._news = {}
        return self._life, news

    def units(self) -> ChangesByUnit:
        """Return the known progress of each unit."""
        return self._units


def _merge(known: ChangesByUnit, name: str, changes: UnitChanges) -> None:
    known.setdefault(name, {}).update(changes)


def open_board(root: str, stage: str) -> ActorHandle[Any]:
    """Start the board of a stage of the run at `root`.

    Others find it with `find_board` as long as the driver lives. If the name is taken (trials of a
    sweep select in one run at the same time), the board has no name, and only its driver uses it.
    """
    # Ray's annotations lose the type of an actor with options.
    actor: Any = ray.remote(Board)
    settings: dict[str, Any] = {"num_cpus": 0, "max_restarts": -1}
    name = f"{NAME}-{stage}"
    handle: ActorHandle[Any]
    try:
        handle = actor.options(**settings, name=name, namespace=hash8(root)).remote(stage)
    except ValueError:
        handle = actor.options(**settings).remote(stage)
    return handle


def find_board(root: str, stage: str) -> ActorHandle[Any]:
    """Return the board of a stage of the run at `root`.

    Raises: ValueError if there is none, as `ray.get_actor` does.
    """
    handle: ActorHandle[Any] = ray.get_actor(f"{NAME}-{stage}", namespace=hash8(root))
    return handle


class BoardLink:
    """The driver's end: it sends changes and fetches news, and never waits for the board."""

    def __init__(self, board: ActorHandle[Any]) -> None:
        self._board = board
        self._life = ""
        self._all: ChangesByUnit = {}
        self._unsent: ChangesByUnit = {}
        self._answer: ray.ObjectRef[Any] | None = None

    def note(self, name: str, changes: UnitChanges) -> None:
        """Queue a change for the next exchange."""
        _merge(self._all, name, changes)
        _merge(self._unsent, name, changes)

    def exchange(self) -> ChangesByUnit:
        """Return the workers' reports that have arrived.

        A board that was restarted gets all changes again.
        """
        news: ChangesByUnit = {}
        if self._answer is not None:
            if not ray.wait([self._answer], timeout=0)[0]:
                return news
            news = self._receive(self._answer)
        self._answer = self._board.exchange.remote(self._unsent)
        self._unsent = {}
        return news

    def _receive(self, answer: ray.ObjectRef[Any]) -> ChangesByUnit:
        life: str
        news: ChangesByUnit
        try:
            life, news = ray.get(answer)
        except RayError:
            # The board only mirrors: the changes that were lost with it are sent again.
            life = ""
            news = {}
        if life != self._life:
            self._life = life
            self._unsent = {name: {**each} for name, each in self._all.items()}
        return news
