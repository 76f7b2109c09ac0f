import json
import os
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from jobs.cluster.auth_token import find_token
from jobs.doctor import __main__ as doctor
from jobs.doctor import storage
from jobs.doctor.cluster import (
    Listener,
    check_listeners,
    check_ray,
    check_token,
    decode_address,
    ray_listeners,
)
from jobs.doctor.finding import Finding
from jobs.doctor.machine import check_packages, check_threads
from otcondense.errors import InputError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home directory, no setting of Ray, and disks with free space."""
    set_disk_usage(monkeypatch, free_gib=100, used=0.5)
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def set_disk_usage(monkeypatch, *, free_gib, used):
    """Give every disk so much free space, and so large a used share."""
    free = free_gib * 2**30
    total = int(free / (1 - used))
    usage = SimpleNamespace(total=total, used=total - free, free=free)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)


def verdicts(findings):
    return {finding.name: finding.verdict for finding in findings}


def test_a_machine_without_problems(home, monkeypatch, capsys):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    (home / ".ray").mkdir()
    (home / ".ray/auth_token").write_text("secret-of-the-cluster\n")
    (home / ".ray/auth_token").chmod(0o600)
    doctor.main(["--storage", str(home / "new/runs"), "--json"])
    text = capsys.readouterr().out
    found = {finding["name"]: finding for finding in json.loads(text)["findings"]}
    assert found["token"]["seen"] == f"from the file {home}/.ray/auth_token, mode 600"
    assert found["versions belong together"]["verdict"] == "ok"
    assert "torch 2." in found["packages"]["seen"]
    assert "secret-of-the-cluster" not in text
    assert not (home / "new").exists(), "the probe deletes its directories"


def test_a_token_that_others_may_read_is_wrong(home, monkeypatch, capsys):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    (home / ".ray").mkdir()
    (home / ".ray/auth_token").write_text("x")
    (home / ".ray/auth_token").chmod(0o644)
    with pytest.raises(SystemExit) as stop:
        doctor.main(["--storage", str(home)])
    assert stop.value.code == 1
    output = capsys.readouterr().out
    assert f"chmod 600 {home}/.ray/auth_token" in output
    assert output.endswith("1 wrong\n")


@pytest.mark.parametrize(
    ("environment", "name", "verdict", "words"),
    [
        ({"RAY_ADDRESS": "a:1"}, "authentication", "note", "RAY_AUTH_MODE is not set"),
        ({"RAY_AUTH_MODE": "disabled"}, "authentication", "wrong", "RAY_AUTH_MODE=disabled"),
        (
            {"RAY_AUTH_MODE": "tokn"},
            "authentication",
            "wrong",
            "must be token or disabled, found 'tokn'",
        ),
        ({"RAY_AUTH_MODE": "token"}, "token", "wrong", "none found"),
        (
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "x"},
            "token",
            "ok",
            "from the variable RAY_AUTH_TOKEN",
        ),
        (
            {"RAY_AUTH_TOKEN_PATH": "/nowhere/token"},
            "authentication",
            "wrong",
            "found none at /nowhere/token",
        ),
        ({"RAY_ADDRESS": "ray://head:10001"}, "Ray address", "note", "Ray Client"),
        ({"RAY_ADDRESS": "10.0.0.1:6379"}, "Ray address", "ok", "10.0.0.1:6379"),
    ],
)
def test_authentication_and_address(monkeypatch, environment, name, verdict, words):
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    (finding,) = [finding for finding in check_ray(None) if finding.name == name]
    assert finding.verdict == verdict
    assert words in finding.seen
    assert bool(finding.remedy) == (verdict != "ok")


def test_a_machine_without_a_cluster_is_told_nothing_of_tokens():
    (finding,) = check_token(has_cluster=False)
    assert (finding.verdict, finding.remedy) == ("ok", "")
    assert len(list(check_token(has_cluster=True))) == 2


def test_a_token_file_that_cannot_be_decoded(home, monkeypatch):
    (home / "token").write_bytes(b"\xff\xfe")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "token"))
    with pytest.raises(InputError, match="must be readable, found UnicodeDecodeError"):
        find_token()


def test_an_unreachable_cluster():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = [
        finding for finding in check_ray(f"http://127.0.0.1:{port}") if finding.name == "cluster"
    ]
    assert found[0].verdict == "wrong"
    assert "cannot be reached" in found[0].seen


def test_ports_of_ray_processes_are_found():
    name = "raylet-of-this-test"  # others may run on this machine
    server = subprocess.Popen(
        [name, "-m", "http.server", "--bind", "127.0.0.1", "0"],
        executable=sys.executable,
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while not (mine := [each for each in ray_listeners() if each.process == name]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        server.kill()
        server.wait()
    assert mine[0].address == "127.0.0.1"
    assert mine[0].port > 0


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0100007F", "127.0.0.1"),
        ("00000000", "0.0.0.0"),
        ("0" * 32, "::"),
        ("0" * 24 + "01000000", "::1"),
        ("0000000000000000FFFF00000100007F", "127.0.0.1"),
    ],
)
@pytest.mark.skipif(
    sys.byteorder != "little", reason="the texts are those of a little-endian kernel"
)
def test_addresses_of_the_kernel_are_decoded(text, address):
    assert decode_address(text) == address


@pytest.mark.parametrize(
    ("address", "verdict"),
    [("127.0.0.1", "ok"), ("::1", "ok"), ("0.0.0.0", "note"), ("10.1.2.3", "note")],
)
def test_a_port_beyond_loopback_is_noted(address, verdict):
    finding = check_listeners([Listener("gcs_server", address, 6379)])
    assert finding.verdict == verdict
    assert (f"gcs_server {address}:6379" in finding.seen) == (verdict == "note")


@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        ({"ray": "2.60.0", "torch": "2.15.0+cu132"}, {"packages": "ok"}),
        ({"ray": "2.59.0", "torch": "2.15.0"}, {"package ray": "wrong"}),
        ({"ray": "2.60.0", "torch": "2.14.0"}, {"package torch": "note"}),
        ({"ray": "2.60.0", "torch": None}, {"package torch": "wrong"}),
    ],
)
def test_versions_are_compared_with_the_tested_ones(installed, expected):
    assert verdicts(check_packages(installed, {"ray": "2.60.0", "torch": "2.15.0"})) == expected


@pytest.mark.parametrize(
    ("setting", "verdict"),
    [(None, "ok"), ("1", "ok"), ("2", "ok"), ("3", "note"), ("0", "wrong"), ("two", "wrong")],
)
def test_threads_are_checked(setting, verdict):
    assert check_threads(setting, 2).verdict == verdict


@pytest.mark.skipif(
    os.geteuid() != 0, reason="for other accounts /proc refuses files for another reason"
)
def test_storage_that_cannot_be_written():
    finding = storage.probe("/proc/runs")
    assert finding.verdict == "wrong"
    assert "/proc/runs: " in finding.seen


def test_storage_of_an_unknown_kind():
    assert storage.probe("nosuch://bucket/run").verdict == "wrong"


@pytest.mark.parametrize(
    ("used", "free_gib", "verdict"), [(0.5, 100, "ok"), (0.99, 5, "wrong"), (0.5, 5, "note")]
)
def test_disk_space_is_checked(monkeypatch, tmp_path, used, free_gib, verdict):
    set_disk_usage(monkeypatch, free_gib=free_gib, used=used)
    assert storage.free_space("disk", tmp_path).verdict == verdict


def test_every_problem_has_a_remedy():
    with pytest.raises(AssertionError):
        Finding("threads", "wrong", "none")
