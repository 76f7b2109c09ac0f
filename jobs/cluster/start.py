"""Starting Ray the same way everywhere: one BLAS thread per worker, loopback only, a private token file."""

import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import ray
from ray._private import ray_constants

from otcondense.errors import InputError

WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # A worker that looks for other files than the installed ones would wait for a network that may not be there.
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # ray.train.report waits for one poll of the controller; the default of 2 s is long for short runs.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    # Ray's backend prints its own retries on the terminal; what matters comes as an exception.
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}
LOCAL_OBJECT_STORE_BYTES = 512 * 2**20
STARTS = 3
Answer = TypeVar("Answer")


def start_ray(num_cpus: int | None = None) -> None:
    """Connect to the cluster named by RAY_ADDRESS, or start one on this machine that listens on loopback only.

    Args:
        num_cpus: CPUs of a cluster started here, all of the machine's by default; at least two, since Ray Data needs one
            beside the encoders.
    """
    if ray.is_initialized():
        return
    os.environ.update(
        {name: os.environ.get(name, value) for name, value in WORKER_ENVIRONMENT.items()}
    )
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    common = {
        "runtime_env": {"env_vars": WORKER_ENVIRONMENT},
        "log_to_driver": False,
        "logging_level": logging.ERROR,
    }
    with warnings.catch_warnings(), _quiet_backend(), _own_sigterm():
        warnings.simplefilter("ignore")
        if os.environ.get("RAY_ADDRESS"):
            # Has Ray's dashboard show trainings; a cluster started here has none.
            os.environ.setdefault("RAY_TRAIN_ENABLE_STATE_TRACKING", "1")
            ray.init(**common)
        else:
            cpus = max(2, num_cpus or os.cpu_count() or 2)
            # Ray puts a network card's address in the place of 127.0.0.1 and listens on all of them, unless it is told that this
            # is no cluster; the switch has its name from the systems where that is the default.
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
            ray_constants.ENABLE_RAY_CLUSTER = False
            _start_here(cpus, common)
    _close_token_file()


def _start_here(cpus: int, common: dict[str, Any]) -> None:
    """Start a cluster; Ray allows its start 30 s and no other number, so an overloaded machine gets more tries than one."""
    for attempt in range(STARTS):
        try:
            ray.init(
                address="local",  # also where `ray start` runs on this machine
                num_cpus=cpus,
                include_dashboard=False,
                object_store_memory=LOCAL_OBJECT_STORE_BYTES,
                _node_ip_address="127.0.0.1",
                **common,
            )
        except Exception as error:
            if "timed out during startup" not in str(error):  # Ray raises no type of its own
                raise
            ray.shutdown()
            if attempt + 1 == STARTS:
                raise InputError(
                    f"Ray did not start in time on this machine in {STARTS} tries; the machine seems to be overloaded, run the same command again"
                ) from error
        else:
            return


@contextmanager
def _quiet_backend() -> Iterator[None]:
    """Keep off the terminal what Ray's backend says of its log level while it starts; Python's own errors are raised."""
    kept = os.dup(2)
    with Path(os.devnull).open("w") as sink:
        os.dup2(sink.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep what SIGTERM does: after Ray has started, it would end the process with status 15 and without a word."""
    kept = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as end:
        raise KeyboardInterrupt from end
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, kept)


def _close_token_file() -> None:
    """Make the token that Ray may just have written readable by its owner alone; Ray leaves it to the umask."""
    token = Path.home() / ".ray" / "auth_token"
    if token.exists() and token.stat().st_uid == os.getuid():
        token.chmod(0o600)


def in_thread(work: Callable[[], Answer]) -> Answer:
    """Return what `work` returns from a thread of its own, so that the main thread can be interrupted.

    In the main thread Ray Train and Ray Tune would take over SIGINT, and end the process with status 0 or go on as if nothing was said.
    """
    future: Future[Answer] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where the result is waited for
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future.result()
