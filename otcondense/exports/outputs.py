"""Where an export may be written."""

from pathlib import Path
from tempfile import TemporaryFile

from otcondense.errors import InputError
from otcondense.reading import with_home

SCHEME = "://"


def check_output(path: str, option: str = "--output", *, is_folder: bool = False) -> None:
    """Check before long work that its result can be written; an earlier result may be there.

    Args:
        path: as the user names it.
        option: how the user names it, for errors.
        is_folder: whether the result is a folder, not a file.

    Raises: InputError if the name is empty, or of the other kind.
    """
    kind, other = ("folder", "file") if is_folder else ("file", "folder")
    if not path.strip():
        raise InputError(f"{option} must name a {kind}, found an empty name")
    place = with_home(path)
    if SCHEME not in path and place.exists() and place.is_dir() is not is_folder:
        raise InputError(f"{option} must be a {kind}, found the {other} {path}")


def new_output(path: str, option: str = "--output") -> Path:
    """Return the path of a new file or folder of this machine.

    Args:
        path: as the user names it.
        option: how the user names it, for errors.

    Raises: InputError if it is empty, a URI, exists, or cannot exist.
    """
    if not path.strip():
        raise InputError(f"{option} must name a new file or folder, found an empty name")
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
