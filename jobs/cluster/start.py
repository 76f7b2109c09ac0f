"""Start Ray the same way everywhere: one thread per worker, loopback, a private token file."""

import json
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

from jobs.cluster.children import children_stopped_on_failure
from jobs.cluster.private_files import make_token_private, private_temporary_folder
from jobs.cluster.watch import watch_cluster
from jobs.command.recording import note_dashboard
from jobs.command.without_ray import NoRayError
from otcondense.machine import usable_cpus

WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # The telemetry of the hub would wait for a network that may be missing.
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # ray.train.report waits for one poll of the controller; the default of 2 s is long for a
    # short run.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    # Ray's backend prints its own retries on the terminal; real problems come as exceptions.
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    # An actor without a GPU sees none. Otherwise all of them would use the first.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
}
STARTS = 3
"""Ray allows its start 30 s and no other number, so an overloaded machine gets several tries."""
WORKFLOW = Path(__file__).parents[2]
"""The folder of `jobs`, `pipeline` and `actors`."""
JOB_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Ray describes a submitted job in it."""
LEAST_CPUS = 2
"""Ray Data needs one CPU in addition to the encoders."""
Answer = TypeVar("Answer")


def start_ray(num_cpus: int | None = None) -> None:
    """Connect to the cluster of RAY_ADDRESS, or start one on this machine's loopback.

    Args:
        num_cpus: CPUs of a cluster started here, by default all of the machine's; at least two.
    """
    if ray.is_initialized():
        return
    for name, value in WORKER_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    with warnings.catch_warnings(), _quiet_backend(), _own_sigterm():
        warnings.simplefilter("ignore")
        if os.environ.get("RAY_ADDRESS"):
            # Ray's dashboard then shows trainings; a cluster started here has no dashboard.
            os.environ.setdefault("RAY_TRAIN_ENABLE_STATE_TRACKING", "1")
            note_dashboard(_init())
        else:
            # Ray replaces 127.0.0.1 by the address of a network card and listens on all of them,
            # unless this switch says that there is no cluster. It is named after the systems where
            # that is the default.
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
            ray_constants.ENABLE_RAY_CLUSTER = False
            make_token_private()
            _start_here(max(LEAST_CPUS, num_cpus or usable_cpus()))
    watch_cluster()


def _init(**settings: Any) -> str:
    """Connect to Ray; return host and port of its dashboard, empty without one."""
    context = ray.init(
        runtime_env={"env_vars": _worker_environment()},
        log_to_driver=False,
        logging_level=logging.ERROR,
        **settings,
    )
    return str(context.dashboard_url or "")


def _worker_environment() -> dict[str, str]:
    """Return the variables of workers.

    Those of a cluster that somebody else started look for the workflow where this process found it.
    Those of our own inherit the path from this process, and Ray gives those of a job its package.
    """
    if not os.environ.get("RAY_ADDRESS") or _has_package():
        return WORKER_ENVIRONMENT
    return {**WORKER_ENVIRONMENT, "PYTHONPATH": f"{WORKFLOW}{os.pathsep}${{PYTHONPATH}}"}


def _has_package() -> bool:
    """Tell whether this process is a job with a working directory that Ray gives its workers."""
    described = json.loads(os.environ.get(JOB_VARIABLE, "{}"))
    return "working_dir" in (described.get("runtime_env") or {})


def _start_here(cpus: int) -> None:
    """Start a cluster on this machine; tries again where Ray's start times out.

    Raises: NoRayError if every start timed out.
    """
    folder = private_temporary_folder()
    for attempt in range(STARTS):
        try:
            with children_stopped_on_failure():
                _init(
                    address="local",  # a new cluster, even if `ray start` runs on this machine
                    num_cpus=cpus,
                    include_dashboard=False,
                    _node_ip_address="127.0.0.1",
                    _temp_dir=folder,
                )
        except Exception as error:
            if "timed out during startup" not in str(error):  # Ray raises no type of its own
                raise
            ray.shutdown()
            if attempt + 1 == STARTS:
                raise NoRayError(
                    f"Ray did not start in time on this machine in {STARTS} tries; "
                    "the machine seems to be overloaded; run the same command again, or set "
                    "cluster.use_ray=false to work without Ray"
                ) from error
        else:
            return


@contextmanager
def _quiet_backend() -> Iterator[None]:
    """Keep the messages of Ray's backend off the terminal; Python's own errors are raised."""
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
    """Keep our handler of SIGTERM.

    Ray's own handler would end the process with status 15 and without a message.
    """
    kept = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as end:
        raise KeyboardInterrupt from end
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, kept)


def in_thread(work: Callable[[], Answer]) -> Answer:
    """Return the result of `work`, run in a thread, so that the main thread can be interrupted.

    In the main thread Ray Train and Ray Tune would handle SIGINT themselves: they end the process
    with status 0, or continue.
    """
    future: Future[Answer] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised where the result is read
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future.result()
