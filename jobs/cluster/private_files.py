"""Ray's files of this account, made so that no other account can read them."""

import os
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from jobs.cluster.auth_token import (
    OTHERS_MAY_READ,
    PATH_VARIABLE,
    TOKEN_VARIABLE,
    authentication_mode,
    default_token_file,
)
from otcondense.errors import InputError

TMPDIR_VARIABLE = "RAY_TMPDIR"
LONGEST_FOLDER = 40
"""Bytes of Ray's temporary folder: the path of a socket has at most 107, and Ray appends 67."""
TOKEN_BYTES = 32
"""Random bytes of a token, as many as Ray's own tokens have."""


def make_token_private() -> None:
    """Create Ray's token file with mode 600 in a folder of mode 700, or close an open one.

    Ray would create it with the mode of the umask.

    Raises: InputError if it cannot be written.
    """
    elsewhere = os.environ.get(TOKEN_VARIABLE) or os.environ.get(PATH_VARIABLE)
    if elsewhere or authentication_mode() == "disabled":
        return
    path = default_token_file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _create_token(path)
        status = path.stat()
        if status.st_uid == os.geteuid() and status.st_mode & OTHERS_MAY_READ:
            path.chmod(0o600)
    except OSError as error:
        raise InputError(
            f"Ray's token must be kept in {path}, found {error.strerror or error}; "
            f"make the folder writable, or set {TOKEN_VARIABLE}"
        ) from error


def _create_token(path: Path) -> None:
    """Write a new token; another process that does so at the same time wins or loses as a whole."""
    number, name = tempfile.mkstemp(dir=path.parent, prefix=".auth_token-")
    written = Path(name)
    try:
        with os.fdopen(number, "w") as file:
            file.write(secrets.token_hex(TOKEN_BYTES))
        with suppress(FileExistsError):
            path.hardlink_to(written)
    finally:
        written.unlink()


def private_temporary_folder() -> str:
    """Return a short folder for Ray's sessions that no other account can enter.

    Ray gives its own folder the mode 777; it lies in one of mode 700. All sessions of an account
    share it.

    Raises: InputError if the folder of RAY_TMPDIR is too long for a socket, or cannot be written.
    """
    base = _base()
    outer = base / f"otc-{os.geteuid()}"
    try:
        outer.mkdir(mode=0o700, exist_ok=True)
        if not _is_private(outer):
            outer = Path(tempfile.mkdtemp(prefix="otc-", dir=base))
    except OSError as error:
        raise InputError(
            f"Ray's temporary folder must be writable, found {base}: {error.strerror or error}; "
            f"set {TMPDIR_VARIABLE} to another folder"
        ) from error
    return str(outer / "ray")


def _base() -> Path:
    named = os.environ.get(TMPDIR_VARIABLE)
    if named:
        _check_length(named)
        return Path(named)
    usual = tempfile.gettempdir()
    # The paths of sockets are short; /tmp always fits.
    return Path(usual) if _fits(usual) else Path("/tmp")  # noqa: S108 - the folder below is private


def _fits(base: str) -> bool:
    longest_name = "/otc-4294967295/ray"
    return len(os.fsencode(base)) + len(longest_name) <= LONGEST_FOLDER


def _check_length(base: str) -> None:
    if not _fits(base):
        raise InputError(
            f"{TMPDIR_VARIABLE} must be a short path, because it holds sockets (at most "
            f"{LONGEST_FOLDER - len('/otc-4294967295/ray')} bytes), found {base}"
        )


def _is_private(folder: Path) -> bool:
    """Return whether a folder is one of this account that no other can enter; links are not."""
    status = folder.lstat()
    mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return mine and not status.st_mode & OTHERS_MAY_READ
