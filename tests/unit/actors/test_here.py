"""Units of work without actors: failures and interruptions are those of a pool."""

import errno
from dataclasses import dataclass
from typing import Any

import pytest

from actors.here import run_here
from actors.units import UnitChanges
from otcondense.errors import InputError


@dataclass(frozen=True)
class Step:
    name: str


class Failing:
    """Raises an error for the unit `bad`."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def run(self, unit: Step) -> UnitChanges:
        if unit.name == "bad":
            raise self._error
        return {"chosen": 3}


STEPS = [Step("first"), Step("bad"), Step("last")]
ERRORS = {
    "a sentence": InputError("a sentence"),
    "OSError: [Errno 28] disk is full": OSError(errno.ENOSPC, "disk is full"),
    "MemoryError: too much": MemoryError("too much"),
    "AssertionError: never": AssertionError("never"),
}


def states_of(seen: list[tuple[str, Any]], name: str) -> list[str]:
    return [changes["state"] for unit, changes in seen if unit == name]


@pytest.mark.parametrize("words", ERRORS)
def test_any_error_fails_its_own_unit_only(words: str) -> None:
    seen: list[tuple[str, Any]] = []
    found = run_here(Failing(ERRORS[words]), STEPS, lambda *change: seen.append(change))
    assert found.failures == {"bad": words}
    assert found.results == {"first": {"chosen": 3}, "last": {"chosen": 3}}
    assert states_of(seen, "bad") == ["running", "failed"]
    assert states_of(seen, "last") == ["running", "done"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_an_interrupted_unit_is_queued_again(error: BaseException) -> None:
    seen: list[tuple[str, Any]] = []
    with pytest.raises(type(error)):
        run_here(Failing(error), STEPS, lambda *change: seen.append(change))
    assert states_of(seen, "bad") == ["running", "queued"]
    assert seen[-1][1]["message"] == "interrupted"
    assert states_of(seen, "last") == []
