"""A start of Ray that fails, for real: its processes, its token and its folder."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

FAIL = """
import psutil
from ray._private import services
from jobs.cluster import start
from otcondense.errors import InputError

seen = []

def too_slow(*_):
    seen.append([each.name() for each in psutil.Process().children(recursive=True)])
    raise Exception("The current node timed out during startup.")

services.get_node = too_slow
start.STARTS = 2
try:
    start.start_ray(2)
except InputError as error:
    print(error)
print("started:", min(len(names) for names in seen))
print("left:", [each.name() for each in psutil.Process().children(recursive=True)])
"""

LISTEN = """
import ray
from jobs.cluster.start import start_ray
start_ray(2)
print(ray._private.worker._global_node.get_session_dir_path(), flush=True)
ray.shutdown()
"""


def run(text: str, home: Path, folder: str) -> str:
    environment = {**os.environ, "HOME": str(home), "RAY_TMPDIR": folder}
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        environment.pop(name, None)
    ended = subprocess.run(
        [sys.executable, "-c", f"import os; os.umask(0)\n{text}"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.slow
def test_a_start_that_times_out_leaves_no_process_and_a_private_token(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as folder:
        said = run(FAIL, tmp_path, folder)
    assert "Ray did not start in time" in said
    assert int(said.split("started:")[1].split()[0]) >= 2
    assert said.rstrip().endswith("left: []")
    assert mode(tmp_path / ".ray" / "auth_token") == 0o600
    assert mode(tmp_path / ".ray") == 0o700


@pytest.mark.slow
def test_the_folder_of_a_session_is_closed_to_other_accounts(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as folder:
        session = Path(run(LISTEN, tmp_path, folder).split()[-1])
        assert session.is_relative_to(folder)
        private = [each for each in session.parents if mode(each) == 0o700]
        assert Path(folder) / f"otc-{os.geteuid()}" in private
    assert mode(tmp_path / ".ray" / "auth_token") == 0o600
