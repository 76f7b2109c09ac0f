"""Ends a command whose Ray cluster is gone, or does not let it go.

Ray waits forever in both cases. Results are written whole or not at all, so that a command can
leave at any time.
"""

import atexit
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import ray

from jobs.command.exit import MISTAKE, RESUME, ended_with

CHECK_SECONDS = 5.0
"""Time between two looks at the cluster."""
ANSWER_SECONDS = 60.0
"""The longest time that a working cluster takes to answer, on a machine that is overloaded."""
END_SECONDS = 20.0
"""The longest time that Ray takes to stop a cluster's processes."""
LOST = "the Ray cluster of this command is gone."


def watch_cluster() -> None:
    """Watch the cluster that this process is connected to, in a thread, until it disconnects."""
    node = ray.get_runtime_context().get_node_id()
    threading.Thread(target=_watch, args=(node, _leave), daemon=True).start()
    if _is_verb():
        atexit.register(_end_in_time)  # before Ray's own, which was registered earlier


def _watch(node: str, leave: Callable[[], None]) -> None:
    while ray.is_initialized():
        if not _is_alive(node):
            if ray.is_initialized():
                leave()
            return
        time.sleep(CHECK_SECONDS)


def _is_alive(node: str) -> bool:
    """Tell whether the cluster answers, and the node of this process is in it."""
    answers: list[list[dict[str, Any]]] = []

    def ask() -> None:
        answers.append(ray.nodes())  # type: ignore[no-untyped-call]

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS)
    return any(each["NodeID"] == node and each["Alive"] for each in (answers or [[]])[0])


def _leave() -> None:
    print(f"\nerror: {LOST} {RESUME}", file=sys.stderr, flush=True)
    os._exit(MISTAKE)


def _is_verb() -> bool:
    """Tell whether this process is a command of ours, not a program that uses our functions."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec is not None and spec.name.startswith("jobs.")


def _end_in_time() -> None:
    """Leave after some time even if Ray's own end hangs; the status is that of the verb."""
    timer = threading.Timer(END_SECONDS, lambda: os._exit(ended_with()))
    timer.daemon = True
    timer.start()
