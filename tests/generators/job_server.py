"""A job server that answers as Ray's does, without a cluster."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

TOKEN = "the-token-of-this-cluster"


@dataclass
class FakeJobServer:
    """The state of a job server; tests set it up and read it."""

    address: str = ""
    packages: dict[str, bytes] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    """Method and path of every request, in order."""
    submissions: list[dict[str, Any]] = field(default_factory=list)
    not_ready: int = 0
    """How many submissions the starting cluster still refuses."""
    breaks: int = 0
    """How many times the log's connection breaks in the middle."""

    def add_job(self, name: str, state: str, log: str = "", exit_code: int | None = None) -> None:
        self.logs[name] = log
        self.jobs[name] = {
            "submission_id": name,
            "status": state,
            "entrypoint": "python -m jobs.run",
            "start_time": 1_000_000,
            "end_time": 1_090_000,
            "driver_exit_code": exit_code,
        }


@contextmanager
def job_server() -> Iterator[FakeJobServer]:
    """Serve on a free port of loopback while the block runs."""
    state = FakeJobServer()
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(_application(state))

    async def start() -> int:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner.addresses[0][1]

    state.address = f"http://127.0.0.1:{loop.run_until_complete(start())}"
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield state
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _application(state: FakeJobServer) -> web.Application:
    @web.middleware
    async def check(request: web.Request, handler: Any) -> web.StreamResponse:
        state.requests.append(f"{request.method} {request.path}")
        token = request.headers.get("Authorization")
        if token is None:
            return web.Response(status=401, text="Unauthorized: Missing authentication token")
        if token != f"Bearer {TOKEN}":
            return web.Response(status=403, text="Forbidden: Invalid authentication token")
        return await handler(request)

    application = web.Application(middlewares=[check])
    application.router.add_get("/api/version", _version)
    for method, path, handler in (
        ("GET", "/api/packages/gcs/{name}", _get_package),
        ("PUT", "/api/packages/gcs/{name}", _put_package),
        ("GET", "/api/jobs/", _list_jobs),
        ("POST", "/api/jobs/", _submit),
        ("GET", "/api/jobs/{name}", _get_job),
        ("POST", "/api/jobs/{name}/stop", _stop),
        ("GET", "/api/jobs/{name}/logs", _get_log),
        ("GET", "/api/jobs/{name}/logs/tail", _follow_log),
    ):
        application.router.add_route(method, path, _with(state, handler))
    return application


def _with(state: FakeJobServer, handler: Any) -> Any:
    async def answer(request: web.Request) -> web.StreamResponse:
        name = request.match_info.get("name", "")
        if "/jobs/" in request.path and name and name not in state.jobs:
            return web.Response(status=404, text=f"Job {name} does not exist")
        return await handler(state, name, request)

    return answer


async def _version(_request: web.Request) -> web.Response:
    return web.json_response({"version": "4", "ray_version": "2.60.0"})


async def _get_package(state: FakeJobServer, name: str, _request: web.Request) -> web.Response:
    return web.Response(status=200 if name in state.packages else 404)


async def _put_package(state: FakeJobServer, name: str, request: web.Request) -> web.Response:
    state.packages[name] = await request.read()
    return web.Response()


async def _list_jobs(state: FakeJobServer, _name: str, _request: web.Request) -> web.Response:
    driver = {"submission_id": None, "status": "RUNNING", "entrypoint": "python notebook.py"}
    return web.json_response([driver, *state.jobs.values()])


async def _submit(state: FakeJobServer, _name: str, request: web.Request) -> web.Response:
    if state.not_ready:
        state.not_ready -= 1
        return web.Response(status=500, text="No available agent to submit job, please try again")
    values = await request.json()
    state.submissions.append(values)
    name = values.get("submission_id", "raysubmit_1")
    if name in state.jobs:
        text = f"Traceback:\n  File\nValueError: Job with submission_id {name} already exists."
        return web.Response(status=500, text=text)
    state.add_job(name, "SUCCEEDED", "the log\n")
    state.jobs[name]["entrypoint"] = values["entrypoint"]
    return web.json_response({"job_id": name, "submission_id": name})


async def _get_job(state: FakeJobServer, name: str, _request: web.Request) -> web.Response:
    return web.json_response(state.jobs[name])


async def _stop(state: FakeJobServer, name: str, _request: web.Request) -> web.Response:
    was_running = state.jobs[name]["status"] == "RUNNING"
    if was_running:
        state.jobs[name]["status"] = "STOPPED"
    return web.json_response({"stopped": was_running})


async def _get_log(state: FakeJobServer, name: str, _request: web.Request) -> web.Response:
    return web.json_response({"logs": state.logs[name]})


async def _follow_log(state: FakeJobServer, name: str, request: web.Request) -> web.StreamResponse:
    """Send the log in two pieces; the job ends unless the connection breaks between them."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    log = state.logs[name]
    middle = len(log) // 2
    await socket.send_str(log[:middle])
    if state.breaks:
        state.breaks -= 1
        assert request.transport is not None
        request.transport.close()
        return socket
    await socket.send_str(log[middle:])
    state.jobs[name]["status"] = "FAILED"
    return socket
