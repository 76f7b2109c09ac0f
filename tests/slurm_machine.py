"""A real Slurm of two nodes on loopback addresses of this machine, for one test.

It needs root, and Debian's packages `slurmctld`, `slurmd`, `slurm-client` and `munge`. Nothing
outside of its folder is changed: the names of the nodes are in a private view of /etc/hosts.
"""

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "scancel", "unshare")
NODES = {"n1": "127.0.0.2", "n2": "127.0.0.3"}
GPUS = 4
START_SECONDS = 60
DEVICE = ("c", "1", "3")
"""Kind and numbers of /dev/null: Slurm wants a device for each GPU that it counts."""
SETTINGS = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={root}/munge/socket
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool-%n
SlurmctldPidFile={root}/ctld.pid
SlurmdPidFile={root}/%n.pid
SlurmctldLogFile={root}/ctld.log
SlurmdLogFile={root}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
GresTypes=gpu
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""
NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr={address} Port={port} CPUs=2 RealMemory=1000 "
    "Gres=gpu:{gpus} State=UNKNOWN\n"
)


def is_possible() -> bool:
    """Tell whether this machine can run it."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    return os.geteuid() == 0 and all(shutil.which(name, path=path) for name in PROGRAMS)


@dataclass(frozen=True)
class Slurm:
    """A running Slurm."""

    root: Path
    environment: dict[str, str]

    def call(self, *words: str, cwd: Path | None = None) -> str:
        """Return what a command of Slurm prints."""
        done = subprocess.run(
            words, env=self.environment, cwd=cwd, capture_output=True, text=True, check=True
        )
        return done.stdout

    def fields(self, job: str) -> dict[str, str]:
        """Return what Slurm says of a job."""
        words = self.call("scontrol", "show", "job", job).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def wait(self, job: str, **wanted: str) -> None:
        """Wait until fields of a job have these values."""
        deadline = time.monotonic() + 300
        while not wanted.items() <= (found := self.fields(job)).items():
            assert time.monotonic() < deadline, found
            time.sleep(0.5)


@contextmanager
def started(root: Path, port: int) -> Iterator[Slurm]:
    """Run Slurm below a folder with a short path, on three ports from `port`."""
    _write(root, port)
    path = f"{os.environ['PATH']}:/usr/sbin"
    slurm = Slurm(root, {**os.environ, "PATH": path, "SLURM_CONF": f"{root}/slurm.conf"})
    hosts = f"mount --bind {root}/hosts /etc/hosts; exec"
    munge = f"--socket={root}/munge/socket --key-file={root}/key --pid-file={root}/munge/pid"
    lines = [f"munged -F -f {munge} --log-file={root}/munge/log --seed-file={root}/munge/seed"]
    lines.append(f"slurmctld -D -f {root}/slurm.conf")
    lines += [
        f"unshare -m bash -c '{hosts} slurmd -D -f {root}/slurm.conf -N {name}'" for name in NODES
    ]
    with (root / "daemons.log").open("w") as log:
        daemons = [
            subprocess.Popen(["bash", "-c", f"exec {line}"], env=slurm.environment, stderr=log)
            for line in lines
        ]
        try:
            _wait_for_nodes(slurm)
            yield slurm
        finally:
            for each in reversed(daemons):
                each.terminate()
            for each in daemons:
                each.wait(START_SECONDS)


def _write(root: Path, port: int) -> None:
    root.chmod(0o755)
    for name in ("munge", "state"):
        (root / name).mkdir(mode=0o755)
    (root / "key").write_bytes(secrets.token_bytes(1024))
    (root / "key").chmod(0o600)
    text = SETTINGS.format(root=root, port=port, host=os.uname().nodename)
    names = {"localhost": "127.0.0.1", os.uname().nodename: "127.0.0.1", **NODES}
    for number, (name, address) in enumerate(NODES.items(), 1):
        place = {"name": name, "address": address, "port": port + number, "gpus": GPUS}
        text += NODE.format(host=os.uname().nodename, **place)
    (root / "slurm.conf").write_text(text)
    (root / "hosts").write_text("".join(f"{names[name]} {name}\n" for name in names))
    for number in range(GPUS):
        subprocess.run(["mknod", root / f"gpu{number}", *DEVICE], check=True)
    line = f"NodeName=n[1-2] Name=gpu File={root}/gpu[0-{GPUS - 1}]\n"
    (root / "gres.conf").write_text(line)


def _wait_for_nodes(slurm: Slurm) -> None:
    deadline = time.monotonic() + START_SECONDS
    idle = ""
    while idle.split() != ["idle"]:
        assert time.monotonic() < deadline, (slurm.root / "daemons.log").read_text()
        time.sleep(0.5)
        done = subprocess.run(
            ["sinfo", "-h", "-o", "%t"], env=slurm.environment, capture_output=True, text=True
        )
        idle = done.stdout
