"""Where this machine's Ray token comes from; the order is Ray's own."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from otcondense.errors import InputError

MODE_VARIABLE, TOKEN_VARIABLE, PATH_VARIABLE = (
    "RAY_AUTH_MODE",
    "RAY_AUTH_TOKEN",
    "RAY_AUTH_TOKEN_PATH",
)


@dataclass(frozen=True)
class Token:
    """A token and its source; the token itself is kept out of every message."""

    value: str = field(repr=False)
    source: str
    path: Path | None = None

    @property
    def header(self) -> dict[str, str]:
        """The HTTP header that carries it."""
        return {"Authorization": f"Bearer {self.value}"}

    @property
    def is_private(self) -> bool:
        """Whether nobody but its owner may read the file; a variable counts as private."""
        return self.path is None or not self.path.stat().st_mode & 0o077


def default_token_file() -> Path:
    """Return the file where Ray keeps the token of this account."""
    return Path.home() / ".ray" / "auth_token"


def find_token() -> Token | None:
    """Return the token that Ray would use, None if there is none.

    Raises: InputError if RAY_AUTH_TOKEN_PATH names a file that cannot be read.
    """
    if os.environ.get(TOKEN_VARIABLE):
        return Token(os.environ[TOKEN_VARIABLE].strip(), f"the variable {TOKEN_VARIABLE}")
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
            f"the token file {path} must be readable, found {type(error).__name__}; correct its owner and mode"
        ) from error
    return Token(value, f"the file {path}", path) if value else None


def authentication_mode() -> str:
    """Return `token` or `disabled` as the environment says, or `unset`.

    Raises: InputError for any other value, with which Ray would not start.
    """
    mode = os.environ.get(MODE_VARIABLE, "unset").lower()
    if mode not in ("token", "disabled", "unset"):
        raise InputError(f"{MODE_VARIABLE} must be token or disabled, found {mode!r}")
    return mode
