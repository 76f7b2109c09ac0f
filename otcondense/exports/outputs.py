"""Where an export may be written."""

from pathlib import Path
from tempfile import TemporaryFile

from otcondense.errors import InputError
from otcondense.reading import with_home

SCHEME = "://"


def new_output(path: str, option: str = "--output") -> Path:
    """Return the path of a new file or folder of this machine.

    Args:
        path: as the user names it.
        option: how the user names it, for errors.

    Raises: InputError if it is a URI, exists, or cannot exist.
    """
    if SCHEME in path:
        raise InputError(f"{option} must be a path of this machine, found {path}")
    output = with_home(path)
    if output.exists() or output.is_symlink():
        raise InputError(f"{option} must not exist yet, found {output}; choose another name")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=output.parent):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"{option} must be in a folder that can be written, found {output.parent} ({reason})"
        ) from error
    return output
