"""No other account can read Ray's token or enter its temporary folder."""

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.cluster.private_files import make_token_private, private_temporary_folder
from otcondense.errors import InputError


@pytest.fixture(autouse=True)
def open_umask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_token_is_private_from_the_first_moment(tmp_path: Path) -> None:
    make_token_private()
    token = tmp_path / ".ray" / "auth_token"
    assert (mode(token), mode(token.parent)) == (0o600, 0o700)
    assert len(token.read_text()) == 64
    assert list(token.parent.iterdir()) == [token]

    text = token.read_text()
    make_token_private()
    assert token.read_text() == text


def test_a_token_that_others_can_read_is_closed_before_ray_starts(tmp_path: Path) -> None:
    (tmp_path / ".ray").mkdir()
    token = tmp_path / ".ray" / "auth_token"
    token.write_text("a" * 64)
    token.chmod(0o644)
    make_token_private()
    assert (mode(token), token.read_text()) == (0o600, "a" * 64)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RAY_AUTH_MODE", "disabled"),
        ("RAY_AUTH_TOKEN", "b" * 64),
        ("RAY_AUTH_TOKEN_PATH", "/elsewhere"),
    ],
)
def test_a_token_from_elsewhere_needs_no_file(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    make_token_private()
    assert not (tmp_path / ".ray").exists()


def test_a_home_that_cannot_hold_it_is_named(tmp_path: Path) -> None:
    (tmp_path / ".ray").write_text("a file")
    with pytest.raises(InputError, match=r"Ray's token must be kept in .*\.ray/auth_token"):
        make_token_private()


def test_no_other_account_can_enter_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="b", dir="/tmp") as base:
        monkeypatch.setenv("RAY_TMPDIR", base)
        folder = Path(private_temporary_folder())
        assert mode(folder.parent) == 0o700
        assert folder.parent.parent == Path(base)
        assert private_temporary_folder() == str(folder)


@pytest.mark.parametrize("kind", ["open folder", "link", "file"])
def test_a_folder_prepared_by_somebody_else_is_not_used(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="b", dir="/tmp") as base:
        monkeypatch.setenv("RAY_TMPDIR", base)
        prepared = Path(base) / f"otc-{os.geteuid()}"
        if kind == "open folder":
            prepared.mkdir(mode=0o777)
        elif kind == "link":
            prepared.symlink_to(tmp_path)
        else:
            prepared.write_text("")
            with pytest.raises(InputError, match="Ray's temporary folder must be writable"):
                private_temporary_folder()
            return
        folder = Path(private_temporary_folder())
        assert folder.parent != prepared
        assert mode(folder.parent) == 0o700


@pytest.mark.parametrize("length", [1, 15, 20, 21, 60, 200])
def test_sockets_always_fit(length: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/" + "x" * length)
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: None)
    monkeypatch.setattr("jobs.cluster.private_files._is_private", lambda _: True)
    session = "session_2026-11-27_18-00-00_123456_4194304"
    path = f"{private_temporary_folder()}/{session}/sockets/plasma_store"
    assert len(path) <= 107
    with socket.socket(socket.AF_UNIX) as probe, pytest.raises(FileNotFoundError):
        probe.bind(path.replace("/tmp", "/not"))


def test_a_named_folder_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/" + "x" * 40)
    with pytest.raises(InputError, match="RAY_TMPDIR must be a short path"):
        private_temporary_folder()
