"""Files from outside: only regular files are opened, up to a size that their reader states."""

import json
import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import Any

from otcondense.byte_sizes import byte_size
from otcondense.errors import InputError
from otcondense.near_names import near_path

KINDS: dict[str, Callable[[int], bool]] = {
    "a folder": stat.S_ISDIR,
    "a FIFO": stat.S_ISFIFO,
    "a socket": stat.S_ISSOCK,
    "a device": lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode),
}
"""Everything that a path can lead to and that has no content of its own."""
DAMAGED_ARCHIVE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)
"""Errors of a damaged zip archive; an encrypted one, or one packed in an unknown way, is a
RuntimeError."""
LIST_BYTES = 2**26
"""Largest text file: a million class names, or as many ids of images."""


class RefusedFileError(OSError, InputError):
    """A file that is not read: it has no content of its own, or more than its reader may need.

    It is both a user's mistake and a reason why one image of many cannot be read.
    """


def with_home(path: str) -> Path:
    """Return a path with `~` as the home folder; that of a user who is not known stays as it is."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def open_regular(path: str | Path) -> BufferedReader:
    """Open a local file for reading; a FIFO would block forever, and a device has no end.

    Raises: RefusedFileError if it is not a regular file, OSError if it cannot be opened.
    """
    _refuse_special(path, mode_of(path))
    # The kind can change between both calls: a FIFO does not block with O_NONBLOCK.
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    try:
        _refuse_special(path, os.fstat(file.fileno()).st_mode)
    except RefusedFileError:
        file.close()
        raise
    return file


def mode_of(path: str | Path) -> int:
    """Return the mode of a file, which says what kind of file it is.

    Raises: OSError if there is none.
    """
    return Path(path).stat().st_mode


def _refuse_special(path: str | Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        found = next((name for name, test in KINDS.items() if test(mode)), "something else")
        raise RefusedFileError(f"{path} must be a file, found {found} there; correct the path")


def check_size(path: str | Path, found: int, allowed: int) -> None:
    """Refuse a file, or a part of one, before memory is taken for it.

    Args:
        path: the file, or the part in words.
        found: its bytes.
        allowed: bytes that its reader may need.

    Raises: RefusedFileError naming both.
    """
    if found > allowed:
        raise RefusedFileError(
            f"{path} must have at most {byte_size(allowed)}, found {byte_size(found)}; "
            "is it the right file?"
        )


def read_regular(path: str | Path, allowed: int) -> bytes:
    """Return the content of a local file of at most `allowed` bytes.

    Raises: RefusedFileError if it is larger or no regular file, OSError if it cannot be read.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        check_size(path, size, allowed)
        # A read takes memory for all bytes that it is asked for, however few there are.
        data = file.read(size + 1)
        if len(data) > size:
            data += file.read(allowed + 1 - len(data))
    check_size(path, len(data), allowed)
    return data


def read_text(path: str | Path, what: str) -> str:
    """Return the content of a text file in UTF-8.

    Args:
        path: the file.
        what: what it must be, for messages: "source.class_names must be a text file".

    Raises: InputError, which begins with `what`, if it is missing, no file or no text.
    """
    try:
        return read_regular(path, LIST_BYTES).decode("utf-8-sig")
    except RefusedFileError as error:
        raise InputError(f"{what}: {error}") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{what} in UTF-8, found another encoding in {path} (at byte {error.start}); "
            "save it as UTF-8"
        ) from error
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        near = near_path(Path(path)) or "; correct the path"
        raise InputError(f"{what}, found nothing at {path}{near}") from error


def parse_json(text: str | bytes, name: str) -> Any:
    """Return the value of a JSON text.

    Raises: InputError, which begins with `name`, if it is no JSON, nested without end, or holds
        characters that cannot be written.
    """
    try:
        value = json.loads(text)
        # A lone surrogate such as \ud800 is valid JSON, but no text: it cannot be stored.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{name} cannot be read as JSON ({reason}); repair it") from error
    return value


def check_text(text: str, name: str) -> None:
    """Refuse text that cannot be the name of a file or be stored.

    Raises: InputError, which begins with `name`, for a NUL or a lone surrogate.
    """
    if "\0" in text or any("\ud800" <= each <= "\udfff" for each in text):
        raise InputError(f"{name} must be plain text, found {text[:LONGEST_SHOWN]!r}")


LONGEST_SHOWN = 60
"""Characters of a text that a message shows."""
