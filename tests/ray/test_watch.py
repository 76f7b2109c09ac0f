"""A command notices that its Ray cluster is gone; chaos `ray` kills and stops Ray's processes."""

import time

import pytest
import ray

from jobs.cluster import watch

pytestmark = pytest.mark.usefixtures("ray_cluster")


def test_the_node_of_this_process_is_alive_and_others_are_not() -> None:
    assert watch._is_alive(ray.get_runtime_context().get_node_id())
    assert not watch._is_alive("0" * 56)


def test_a_command_leaves_when_its_node_is_gone() -> None:
    left: list[bool] = []
    watch._watch("0" * 56, lambda: left.append(True))
    assert left == [True]


def test_a_cluster_that_does_not_answer_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(ray, "nodes", lambda: time.sleep(2))
    assert not watch._is_alive("0" * 56)


def test_a_program_that_uses_our_functions_is_not_ended() -> None:
    assert not watch._is_verb()
