"""Starting Ray on a slow machine."""

from types import SimpleNamespace

import pytest
import ray

from jobs.cluster import start as ray_env
from jobs.cluster.start import STARTS, start_ray
from otcondense.errors import InputError

TOO_SLOW = "The current node timed out during startup."


def init_that_fails(monkeypatch: pytest.MonkeyPatch, times: int, message: str) -> list[str]:
    """Let the start of a cluster fail so many times; returns the calls."""
    calls: list[str] = []

    def init(**_: object) -> SimpleNamespace:
        calls.append("init")
        if calls.count("init") <= times:
            raise Exception(message)  # Ray raises no type of its own
        return SimpleNamespace(dashboard_url="")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: calls.append("shutdown"))
    monkeypatch.setattr(ray_env, "make_token_private", lambda: None)
    monkeypatch.setattr(ray_env, "private_temporary_folder", lambda: "/tmp/r")
    monkeypatch.setattr(ray_env, "watch_cluster", lambda: None)  # there is none
    return calls


def test_a_start_that_times_out_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = init_that_fails(monkeypatch, STARTS - 1, TOO_SLOW)
    start_ray()
    assert calls == [*["init", "shutdown"] * (STARTS - 1), "init"]


def test_an_overloaded_machine_ends_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = init_that_fails(monkeypatch, STARTS, TOO_SLOW)
    with pytest.raises(InputError, match="overloaded"):
        start_ray()
    assert calls.count("init") == STARTS


def test_other_errors_of_ray_are_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = init_that_fails(monkeypatch, 1, "no such address")
    with pytest.raises(Exception, match="no such address"):
        start_ray()
    assert calls == ["init"]
