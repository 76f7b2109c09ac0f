"""The Ray token of this machine, looked up in Ray's own order."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from otcondense.errors import InputError

MODE_VARIABLE = "RAY_AUTH_MODE"
TOKEN_VARIABLE = "RAY_AUTH_TOKEN"  # noqa: S105 - the name of a variable
PATH_VARIABLE = "RAY_AUTH_TOKEN_PATH"
OTHERS_MAY_READ = 0o077
"""Bits of a file's mode that give access to the group or to everybody."""


@dataclass(frozen=True)
class Token:
    """A token and its source; no message contains the token itself."""

    value: str = field(repr=False)
    source: str
    path: Path | None = None

    @property
    def header(self) -> dict[str, str]:
        """The HTTP header that carries it."""
        return {"Authorization": f"Bearer {self.value}"}

    @property
    def is_private(self) -> bool:
        """Whether only its owner may read the file; a variable counts as private."""
        return self.path is None or not self.path.stat().st_mode & OTHERS_MAY_READ


def default_token_file() -> Path:
    """Return the file where Ray keeps the token of this account."""
    return Path.home() / ".ray" / "auth_token"


def find_token() -> Token | None:
    """Return the token that Ray would use, or None if there is none.

    Raises: InputError if RAY_AUTH_TOKEN_PATH names a file that cannot be read, or the token cannot
        be sent in a header.
    """
    if os.environ.get(TOKEN_VARIABLE):
        value = os.environ[TOKEN_VARIABLE].strip()
        return _token(value, f"the variable {TOKEN_VARIABLE}")
    named = os.environ.get(PATH_VARIABLE)
    path = Path(named) if named else default_token_file()
    try:
        value = path.read_text().strip()
    except FileNotFoundError as error:
        if not named:
            return None
        raise InputError(
            f"{PATH_VARIABLE} must name a readable file, found none at {path}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"the token file {path} must be readable, found {type(error).__name__}; "
            "correct its owner and mode"
        ) from error
    return _token(value, f"the file {path}", path)


def _token(value: str, source: str, path: Path | None = None) -> Token | None:
    if not value:
        return None
    if not value.isascii() or not value.isprintable() or " " in value:
        raise InputError(
            f"the token from {source} must be one word of ASCII characters, found others; "
            "fetch the cluster's token again (there: ray get-auth-token)"
        )
    return Token(value, source, path)


def authentication_mode() -> str:
    """Return `token` or `disabled` from the environment, or `unset`.

    Raises: InputError for any other value; Ray would not start with it.
    """
    mode = os.environ.get(MODE_VARIABLE, "unset").lower()
    if mode not in ("token", "disabled", "unset"):
        raise InputError(f"{MODE_VARIABLE} must be token or disabled, found {mode!r}")
    return mode
