"""The Slurm script starts Ray on two nodes with a token of its own, and ends without a trace.

The nodes are two loopback addresses of this machine; `srun`, `scontrol` and `getent` are stand-ins,
Ray is real.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from jobs.submit.package import files_of

SCRIPT = Path("cluster/slurm.sbatch").resolve()
TOOLS = Path(sys.executable).parent
NODES = ("127.0.0.2", "127.0.0.3")
JOB = os.getpid()
DEADLINE_SECONDS = 300
STAND_INS = {
    # Runs the command once, as the node that --nodelist names, or the one that --exclude leaves.
    "srun": """
node=127.0.0.3
while [[ $1 == --* ]]; do
    [[ $1 != --nodelist=* ]] || node=${1#*=}
    shift
done
export SLURMD_NODENAME=$node SLURM_CPUS_ON_NODE=2 SLURM_GPUS_ON_NODE=4
exec "$@"
""",
    "scontrol": """
if [[ $1 == show ]]; then
    tr ' ' '\\n' <<<"$SLURM_JOB_NODELIST"
else
    echo "$@" .slurm-* >>scontrol.log # Slurm kills what a requeued job still does
fi
""",
    "getent": 'echo "$2 STREAM"\n',
}
VERB = '''
"""Writes what it sees of the cluster, then waits for a signal, or for a file `go`."""
import json, os, signal, stat, sys, time
from pathlib import Path
import ray

ray.init(log_to_driver=False)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))  # as every verb
session = Path(f"/tmp/otc-{os.getuid()}-{os.environ['SLURM_JOB_ID']}")
token = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
seen = {
    "nodes": sum(node["Alive"] for node in ray.nodes()),
    "resources": ray.cluster_resources(),
    "token": str(token),
    "mode": stat.S_IMODE(token.stat().st_mode),
    "folder mode": stat.S_IMODE(token.parent.stat().st_mode),
    "folder of Ray": stat.S_IMODE(session.stat().st_mode),
    "arguments": sys.argv[1:],
}
Path("part.json").write_text(json.dumps(seen))
Path("part.json").rename("seen.json")
while not Path("go").exists():
    time.sleep(0.1)
sys.exit(3)
'''


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A working directory with the stand-ins, and a package `jobs` with one verb."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, text in STAND_INS.items():
        (commands / name).write_text(f"#!/bin/bash\n{text}")
        (commands / name).chmod(0o755)
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "__init__.py").write_text("")
    (tmp_path / "jobs" / "probe.py").write_text(VERB)
    yield tmp_path
    for process in processes_of_the_job():  # of a test that failed
        with suppress(psutil.NoSuchProcess):
            process.kill()


def submit(checkout: Path, nodes: tuple[str, ...], *arguments: str) -> subprocess.Popen[str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("RAY_")}
    environment = {
        **kept,
        "HOME": str(checkout),
        "PATH": f"{checkout / 'bin'}:{TOOLS}:{kept['PATH']}",
        "SLURM_JOB_ID": str(JOB),
        "SLURM_JOB_NODELIST": " ".join(nodes),
        "RAY_DASHBOARD_STARTUP_TIMEOUT_S": "300",
    }
    return subprocess.Popen(
        ["bash", SCRIPT, *arguments],
        cwd=checkout,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def check_nothing_is_left(checkout: Path) -> None:
    deadline = time.monotonic() + 60
    while (left := list(processes_of_the_job())) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left
    assert not list(checkout.glob(".slurm-*")), "the token is deleted"
    assert not Path(f"/tmp/otc-{os.getuid()}-{JOB}").exists()


def processes_of_the_job() -> Iterator[psutil.Process]:
    """The processes that belong to the job, by what their environment says."""
    for process in psutil.process_iter():
        try:
            if process.environ().get("SLURM_JOB_ID") == str(JOB):
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue


def wait_until_seen(checkout: Path, job: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (checkout / "seen.json").exists():
        assert job.poll() is None, job.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_nodes_share_one_cluster_and_a_signal_ends_and_requeues_it(checkout: Path) -> None:
    job = submit(checkout, NODES, "probe", "key=value", "a word")
    wait_until_seen(checkout, job)
    seen = json.loads((checkout / "seen.json").read_text())
    assert seen["nodes"] == 2
    assert (seen["resources"]["GPU"], seen["resources"]["CPU"]) == (8, 4)
    assert Path(seen["token"]).parent.parent == checkout
    assert (seen["mode"], seen["folder mode"]) == (0o600, 0o700)
    assert seen["folder of Ray"] == 0o700
    written, usual = (checkout / name for name in ("seen.json", "jobs/probe.py"))
    assert written.stat().st_mode == usual.stat().st_mode, "results are as private as elsewhere"
    assert seen["arguments"] == ["key=value", "a word"]

    job.send_signal(signal.SIGTERM)
    output, _ = job.communicate(timeout=120)
    assert job.returncode == 130, output
    assert (checkout / "scontrol.log").read_text() == f"requeue {JOB} .slurm-*\n"
    check_nothing_is_left(checkout)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_one_node_stays_on_loopback_and_the_status_is_that_of_the_verb(checkout: Path) -> None:
    job = submit(checkout, NODES[:1], "probe")
    wait_until_seen(checkout, job)
    listening = [
        connection.laddr.ip.removeprefix("::ffff:")
        for process in processes_of_the_job()
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) <= {"127.0.0.1", "::1"}
    assert len(listening) > 3

    (checkout / "go").touch()
    output, _ = job.communicate(timeout=DEADLINE_SECONDS)
    assert job.returncode == 3, output
    assert json.loads((checkout / "seen.json").read_text())["nodes"] == 1
    assert not (checkout / "scontrol.log").exists()
    check_nothing_is_left(checkout)


def test_a_verb_must_be_named(checkout: Path) -> None:
    job = submit(checkout, NODES)
    output, _ = job.communicate(timeout=60)
    assert job.returncode == 2
    assert "usage: sbatch cluster/slurm.sbatch VERB" in output


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (1, "error: 0 of 1 nodes have started Ray"),
        (2, "error: 127.0.0.3 finds no address of 127.0.0.2"),
    ],
)
def test_a_node_that_does_not_start_ends_the_job(nodes: int, message: str, checkout: Path) -> None:
    (checkout / "bin" / "srun").write_text("#!/bin/bash\nexit 1\n")
    job = submit(checkout, NODES[:nodes], "probe")
    output, _ = job.communicate(timeout=60)
    assert job.returncode == 1
    assert message in output
    check_nothing_is_left(checkout)


def test_the_folder_of_the_token_is_never_packed_or_committed(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text((SCRIPT.parents[1] / ".gitignore").read_text())
    for name in (".slurm-12/token", "otcondense-12.log", "kept.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert {str(path.relative_to(tmp_path)) for path in files_of(tmp_path)} == {
        ".gitignore",
        "kept.py",
    }
