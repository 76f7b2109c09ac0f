"""`otcondense submit`: requests, the working directory, the client against a fake job server."""

import io
import os
import re
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from jobs.cluster.connection import UnreachableError
from jobs.cluster.job_server import JobServer
from jobs.submit import command, follow, package
from jobs.submit.__main__ import main
from jobs.submit.package import files_of, pack
from jobs.submit.request import START, JobRequest, check_request, known_verbs
from otcondense.errors import InputError
from tests.generators.job_server import TOKEN, FakeJobServer, job_server
from tests.verbs import call

SHARED_RUN = ("run", "--config", "demo", "--run", "/shared/run")


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Set the token of the fake cluster, and no other setting of Ray."""
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)


@pytest.fixture
def server() -> Iterator[FakeJobServer]:
    with job_server() as server:
        yield server


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small checkout that is sent in place of this one."""
    root = tmp_path / "checkout"
    write(root, ".gitignore", "*.pyc\n/data/\n")
    write(root, ".rayignore", "/tests/\n")
    write(root, "jobs/run.py", "print(1)\n")
    write(root, "jobs/.gitignore", "local.py\n")
    for ignored in ("jobs/run.pyc", "jobs/local.py", "data/image.png", "tests/test_run.py"):
        write(root, ignored, "x")
    write(root, "jobs/data/names.txt", "ant\n")
    monkeypatch.setattr(command, "ROOT", root)
    return root


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def fails(*arguments: str) -> int:
    """Run the command, which must fail; return its exit status."""
    with pytest.raises(SystemExit) as end:
        call("submit", arguments)
    return end.value.code


def test_verbs_that_make_no_sense_on_a_cluster_cannot_be_submitted() -> None:
    assert {"run", "select_subset", "compare", "sweep", "measure", "convert", "doctor"} <= set(
        known_verbs()
    )
    assert not {"dashboard", "submit", "submission", "page"} & set(known_verbs())


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("measure", ("samples=/shared/a.npz", "against=/shared/b.npz")),
        ("convert", ("to-public", "/shared/ours", "/shared/out.safetensors")),
        ("run", ("--config", "jobs/configs/demo.yaml", "--run", "/shared/run")),
    ],
)
def test_a_valid_request_is_accepted(verb: str, arguments: tuple[str, ...]) -> None:
    check_request(JobRequest(verb=verb, arguments=arguments))


@pytest.mark.parametrize(
    ("verb", "arguments", "message"),
    [
        ("submission", (), "submission is not a verb of jobs"),
        ("dashboard", ("/shared/run",), "dashboard is not a verb of jobs"),
        ("run", (), "must be an absolute path on storage that all nodes share"),
    ],
)
def test_an_invalid_request_is_refused(verb: str, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_request(JobRequest(verb=verb, arguments=arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("list", "junk"), "list takes no further arguments, found junk"),
        (("nosuch",), "nosuch is not a verb of jobs; there are "),
        (("trian",), "trian is not a verb of jobs; did you mean train?"),
        (("lst",), "lst is not a verb of jobs; did you mean list?"),
        (("dashboard", "/shared/run"), "it works on one machine; run `otcondense dashboard`"),
        (("submit", "list"), "it works on one machine"),
        (("verify", "runs/x"), "the run of a job must be an absolute path"),
        (("status", "runs/x"), "the run of a job must be an absolute path"),
        ((*SHARED_RUN, "selection.budget"), "one run directory is expected"),
        ((*SHARED_RUN, "selection.budgt=3"), "did you mean selection.budget?"),
        ((*SHARED_RUN, "--nosuch"), "unrecognized arguments: --nosuch"),
        (("status", "/shared/run", "--nosuch"), "unrecognized arguments: --nosuch"),
        (("status",), "the following arguments are required: run"),
        (
            ("convert", "to-nothing"),
            "must be one of from-public, to-public, to-diffusers, found 'to-nothing'",
        ),
        (("export", *SHARED_RUN[1:]), "the following arguments are required: --output"),
        (("measure", "--config", "/no/such.yaml", "--nosuch"), "unrecognized arguments: --nosuch"),
        (("verify", "s3://key:" + "pw@bucket/run"), "must be an address without credentials"),
        (("doctor", "--driver-cpus", "x"), "must be a number of at least 0, found 'x'"),
    ],
)
def test_a_mistake_is_found_before_anything_is_sent(
    arguments: tuple[str, ...],
    message: str,
    server: FakeJobServer,
    checkout: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert fails(*arguments, "--address", server.address) == 2
    assert message in capsys.readouterr().err
    assert not server.submissions
    assert not server.packages


@pytest.mark.parametrize("amount", ["-1", "nan", "inf", "many"])
def test_an_invalid_number_of_cpus_is_refused(
    amount: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["doctor", "--driver-cpus", amount])
    assert end.value.code == 2
    assert "--driver-cpus" in capsys.readouterr().err


def test_the_package_has_the_files_that_no_ignore_file_excludes(checkout: Path) -> None:
    (checkout / "jobs/run.py").chmod(0o755)
    archive = zipfile.ZipFile(io.BytesIO(pack(checkout).data))
    assert set(archive.namelist()) == {
        ".gitignore",
        ".rayignore",
        "jobs/.gitignore",
        "jobs/data/names.txt",
        "jobs/run.py",
    }
    assert archive.read("jobs/run.py") == b"print(1)\n"
    assert archive.getinfo("jobs/run.py").external_attr >> package.MODE_SHIFT & 0o777 == 0o755


def test_an_installed_package_is_sent_as_a_checkout(tmp_path: Path) -> None:
    """The workflow at the top, the package beside it, and nothing twice."""
    package_folder = tmp_path / "site-packages/otcondense"
    for name in ("__init__.py", "store/files.py", "__pycache__/a.pyc", "report/page.css"):
        write(package_folder, name, "x")
    for name in ("jobs/run/__main__.py", "jobs/__pycache__/a.pyc", "constraints.txt"):
        write(package_folder / "_workflow", name, "y")
    write(tmp_path / "site-packages", "other/__init__.py", "z")
    archive = zipfile.ZipFile(io.BytesIO(pack(package_folder / "_workflow").data))
    assert sorted(archive.namelist()) == [
        "constraints.txt",
        "jobs/run/__main__.py",
        "otcondense/__init__.py",
        "otcondense/report/page.css",
        "otcondense/store/files.py",
    ]


def test_own_configurations_are_sent_with_the_job(
    server: FakeJobServer, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "mine"
    write(directory, "settings/own.yaml", "base: ../common.yaml\nrun: /shared/run\n")
    write(directory, "common.yaml", "source: {path: /shared/images}\n")
    monkeypatch.chdir(directory)
    call("submit", ["run", "--config", "settings/own.yaml", "--address", server.address])
    (data,) = server.packages.values()
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.read("settings/own.yaml").startswith(b"base: ../common.yaml")
    assert {"common.yaml", "jobs/run.py"} <= set(archive.namelist())


def test_an_own_configuration_above_the_directory_cannot_be_sent(
    server: FakeJobServer,
    checkout: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(tmp_path, "own.yaml", "run: /shared/run\nsource: {path: /shared/images}\n")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert fails("run", "--config", "../own.yaml", "--address", server.address) == 2
    assert "the file ../own.yaml must lie below this directory" in capsys.readouterr().err
    assert not server.packages


@pytest.mark.parametrize(
    ("option", "folder"),
    [
        ('--python_worker_command="{}" setup.py', "a folder"),
        ("--python_worker_command={} setup.py --node-ip=127.0.0.1", "plain"),
        ("--other", "on-the-path"),
    ],
)
def test_a_job_runs_under_the_python_of_rays_workers(
    option: str, folder: str, tmp_path: Path
) -> None:
    """The raylet names it; without one, the Python of the PATH has to do."""
    python = tmp_path / folder / "python"
    write(tmp_path, f"{folder}/python", f'#!/bin/sh\necho "{folder}: $@"\n')
    python.chmod(0o755)
    raylet = 'sh -c "sh jobs/submit/start_job.sh verify /shared/a; exit"; exit'
    done = subprocess.run(
        ["sh", "-c", raylet, "raylet", option.format(python)],
        capture_output=True,
        text=True,
        env={"PATH": f"{tmp_path}/on-the-path:/usr/bin:/bin"},
    )
    assert done.stdout == f"{folder}: -m jobs.verify /shared/a\n", done.stderr


def test_the_name_of_a_package_changes_with_its_content_only(checkout: Path) -> None:
    first = pack(checkout)
    os.utime(checkout / "jobs/run.py", (0, 0))
    write(checkout, "data/other.png", "y")
    assert pack(checkout) == first
    assert re.fullmatch(r"_ray_pkg_[0-9a-f]{32}\.zip", first.name)
    write(checkout, "jobs/run.py", "print(2)\n")
    assert pack(checkout).name != first.name


def test_links_are_followed_but_not_in_circles(checkout: Path, tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", "names.txt", "bee\n")
    (checkout / "jobs/linked").symlink_to(tmp_path / "elsewhere")
    (checkout / "jobs/circle").symlink_to(checkout)
    (checkout / "data/circle").symlink_to(checkout)
    names = {str(path.relative_to(checkout)) for path in files_of(checkout)}
    assert "jobs/linked/names.txt" in names
    assert not any("circle" in name for name in names)


def test_a_package_that_is_too_large_is_refused_before_the_upload(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(checkout, "jobs/large.bin", "x" * 3 * 2**20)
    monkeypatch.setattr(package, "LIMIT_BYTES", 2**20)
    with pytest.raises(InputError, match=r"found 3 MiB; the largest are jobs/large.bin \(3 MiB\)"):
        pack(checkout)


def test_a_job_is_sent_with_its_working_directory(
    server: FakeJobServer, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--address", server.address, "--env", "A=b=c", "--driver-cpus", "2", "--detach")
    call("submit", [*SHARED_RUN, *options])
    name = pack(checkout).name
    assert server.packages == {name: pack(checkout).data}
    assert server.submissions == [
        {
            "entrypoint": f"{START}run --config demo --run /shared/run",
            "runtime_env": {"working_dir": f"gcs://{name}", "env_vars": {"A": "b=c"}},
            "metadata": {"verb": "run"},
            "entrypoint_num_cpus": 2.0,
        }
    ]
    printed = capsys.readouterr().out
    assert f"otcondense submit follow raysubmit_1 --address {server.address}" in printed


def test_the_working_directory_is_uploaded_once(server: FakeJobServer, checkout: Path) -> None:
    for name in ("first", "second"):
        call("submit", ["doctor", "--id", name, "--address", server.address])
    assert sum(request.startswith("PUT") for request in server.requests) == 1


def test_a_cluster_that_is_starting_is_asked_again(
    server: FakeJobServer, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "START_POLL_SECONDS", 0.0)
    server.not_ready = 2
    call("submit", ["doctor", "--address", server.address])
    assert list(server.jobs) == ["raysubmit_1"]


def test_a_cluster_that_does_not_become_ready_is_reported(
    server: FakeJobServer,
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "START_SECONDS", -1.0)
    server.not_ready = 2
    assert fails("doctor", "--address", server.address) == 2
    assert "has no node yet that could start a job" in capsys.readouterr().err


def test_the_reason_of_a_refusal_is_the_last_line_of_rays_answer(
    server: FakeJobServer, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.add_job("taken", "RUNNING")
    assert fails("doctor", "--id", "taken", "--address", server.address) == 2
    expected = "refuses this: ValueError: Job with submission_id taken already exists\n"
    assert capsys.readouterr().err.endswith(expected)


def test_a_log_is_printed_once_although_its_connection_breaks(
    server: FakeJobServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "RETRY_SECONDS", 0.0)
    server.add_job("job", "RUNNING", "one\ntwo\nthrée\nfour\n", exit_code=3)
    server.breaks = 2
    assert fails("follow", "job", "--address", server.address) == 3
    printed = capsys.readouterr()
    assert printed.out == "one\ntwo\nthrée\nfour\n"
    assert printed.err == "job job ended with status 3\n"
    assert sum(request.endswith("/tail") for request in server.requests) == 3


@pytest.mark.parametrize(
    ("state", "exit_code", "status"),
    [("SUCCEEDED", 0, 0), ("STOPPED", None, 130), ("FAILED", 2, 2), ("FAILED", None, 1)],
)
def test_the_exit_status_is_that_of_the_job(
    server: FakeJobServer, state: str, exit_code: int | None, status: int
) -> None:
    server.add_job("job", state, "log\n", exit_code)
    assert follow.follow(JobServer(server.address), "job") == status


def test_following_ends_when_the_cluster_stays_unreachable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(follow, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(follow, "UNREACHABLE_SECONDS", 0.0)
    with job_server() as stopped:
        stopped.add_job("job", "RUNNING", "log\n")
        client = JobServer(stopped.address)
        client.jobs()
        job = client.job("job")
    monkeypatch.setattr(client, "job", answers(client.job, job))
    with pytest.raises(UnreachableError, match="cannot be reached"):
        follow.follow(client, "job")


def answers(ask, first):
    """Return a function that gives one answer and then asks."""
    left = [first]
    return lambda name: left.pop() if left else ask(name)


def test_a_job_is_stopped_and_stopping_it_again_says_so(
    server: FakeJobServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.add_job("job", "RUNNING")
    for _ in range(2):
        call("submit", ["stop", "job", "--address", server.address])
    assert capsys.readouterr().out == "job job stopped\njob job had already ended\n"


def test_jobs_are_listed_with_state_and_time(
    server: FakeJobServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.add_job("one", "SUCCEEDED")
    call("submit", ["list", "--address", server.address])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["one", "succeeded", "1", "min", "30", "s", "python", "-m", "jobs.run"]
    ]


def test_a_submitted_verb_is_listed_as_it_was_typed(
    server: FakeJobServer, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = ("export-samples", *SHARED_RUN[1:], "--output", "/shared/samples.npz")
    call("submit", [*export, "--address", server.address, "--detach"])
    assert "otcondense export_samples --config" in capsys.readouterr().out.splitlines()[0]
    call("submit", ["list", "--address", server.address])
    line = capsys.readouterr().out.splitlines()[1]
    assert line.endswith(
        "  otcondense export_samples --config demo --run /shared/run --output /shared/samples.npz"
    )


def test_a_job_with_any_name_can_be_asked_for(server: FakeJobServer) -> None:
    client = JobServer(server.address)
    server.add_job("a/b ?#", "SUCCEEDED")
    with pytest.raises(InputError, match="Job nowhere does not exist"):
        client.job("nowhere")
    assert client.job("a/b ?#").name == "a/b ?#"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"RAY_AUTH_TOKEN": ""}, "asks for a token, found none here"),
        ({"RAY_AUTH_MODE": "disabled"}, "asks for a token, found none here"),
        ({"RAY_AUTH_TOKEN": "other"}, "refuses the token from the variable RAY_AUTH_TOKEN"),
        ({"RAY_AUTH_TOKEN": "two\nlines"}, "must be one word of ASCII characters"),
    ],
)
def test_a_missing_or_wrong_token_is_explained(
    server: FakeJobServer,
    variables: dict[str, str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert fails("list", "--address", server.address) == 2
    error = capsys.readouterr().err
    assert message in error
    assert TOKEN not in error
    assert server.requests in ([], ["GET /api/version"])


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


FREE = "a free port of this machine"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("head:8265", "must be that of the dashboard"),
        ("http://head:no-port", "must be that of the dashboard"),
        ("http://[::1", "must be that of the dashboard"),
        ("http://a..b:8265", "cannot be reached; is the cluster up, and the tunnel"),
        (FREE, "cannot be reached; is the cluster up, and the tunnel"),
    ],
)
def test_an_address_without_a_cluster_is_explained(
    address: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    address = free_address() if address == FREE else address
    assert fails("list", "--address", address) == 2
    assert message in capsys.readouterr().err


class OtherServer(BaseHTTPRequestHandler):
    """A server that is not Ray's; it redirects the path below /moved."""

    def do_GET(self) -> None:
        moved = self.path.startswith("/moved")
        self.send_response(302 if moved else 200)
        self.send_header("Location", "https://elsewhere.example/")
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, *_) -> None:
        pass


@pytest.fixture(scope="module")
def other_server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), OtherServer) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "message"),
    [("", "is not that of a Ray dashboard"), ("/moved", "redirects to https://elsewhere.example/")],
)
def test_a_server_that_is_not_rays_is_named(other_server: str, path: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        JobServer(other_server + path).jobs()


def test_a_token_over_plain_http_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert fails("stop", "--address", "http://head.example:8265") == 2
    assert "anyone on the way can read the token" in capsys.readouterr().err


def test_the_client_imports_neither_ray_nor_torch() -> None:
    code = (
        "import sys\n"
        "from jobs.submit.command import Options, run\n"
        "from jobs.submit.request import JobRequest\n"
        "try:\n"
        f"    run(Options({free_address()!r}, False), JobRequest(verb='list'))\n"
        "except ValueError as error:\n"
        "    print(error)\n"
        "print(sorted({'ray', 'torch', 'numpy', 'aiohttp', 'requests'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, loaded = done.stdout.splitlines()
    assert "cannot be reached" in first
    assert loaded == "[]"
