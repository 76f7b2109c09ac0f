"""Opening the files of a source, local or remote; every failure names the path."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import fsspec
from fsspec import AbstractFileSystem

from otcondense.datasets.records import is_remote
from otcondense.errors import STORAGE_ERRORS, InputError
from otcondense.reading import check_size, open_regular, read_regular

IMAGE_BYTES = 2**30
"""Largest image file: one of PIXEL_LIMIT pixels with 8 bytes each takes 0.7 GB, not compressed."""

STORES = {
    "s3": ("s3fs", "s3"),
    "s3a": ("s3fs", "s3"),
    "gs": ("gcsfs", "gs"),
    "gcs": ("gcsfs", "gs"),
    "az": ("adlfs", "az"),
    "abfs": ("adlfs", "az"),
    "abfss": ("adlfs", "az"),
    "hf": ("huggingface_hub", "workflow"),
}
"""Package that fsspec needs for a scheme, and the extra of this project that installs it."""
HUB_DATASETS = "hf://datasets/"
"""Start of the address of a data set of the Hugging Face hub."""


def file_system(path: str) -> tuple[AbstractFileSystem, str]:
    """Return the file system of a URI, and the path in it.

    Raises: InputError for an unknown scheme, or one whose package or credentials are missing.
    """
    _check_package(path)
    with reachable(path):
        filesystem, inner = fsspec.core.url_to_fs(path)
        return filesystem, str(inner)


def _check_package(path: str) -> None:
    """Refuse an address whose package is not installed, with the command that installs it."""
    package, extra = STORES.get(path.partition("://")[0], ("", ""))
    if package and find_spec(package) is None:
        raise InputError(
            f"{path} needs the package {package}, found none; "
            f"run `python -m pip install 'otcondense[{extra}]'`"
        )


@contextmanager
def reachable(path: str) -> Iterator[None]:
    """Turn the errors of a store that refuses or does not answer into one that names the path.

    Raises: InputError; a missing file and a fault of the storage stay an OSError.
    """
    try:
        yield
    except (InputError, FileNotFoundError, NotADirectoryError):
        raise
    except Exception as error:  # each store has exceptions of its own
        if isinstance(error, OSError) and error.errno in STORAGE_ERRORS:
            raise
        reason = " ".join(str(error).split()) or "no reason given"
        raise InputError(
            f"{path} cannot be reached ({type(error).__name__}: {reason}); check the address, and "
            f"the credentials and packages of this machine{_other_way(path)}"
        ) from error


def _other_way(path: str) -> str:
    """Return what else can be done about a data set of the Hugging Face hub."""
    if not path.startswith(HUB_DATASETS):
        return ""
    name = "/".join(path.removeprefix(HUB_DATASETS).split("/")[:2]).partition("@")[0]
    return (
        ". Without a network, download it where there is one (`hf download --repo-type dataset "
        f"{name} --local-dir FOLDER`) and set source.path=FOLDER; a private one needs `hf auth "
        "login` or HF_TOKEN"
    )


@contextmanager
def open_file(path: str) -> Iterator[Any]:
    """Give an open file for reading at any position.

    Raises: InputError if it is no regular file or cannot be reached, OSError if it is missing.
    """
    if not is_remote(path):
        with open_regular(path) as file:
            yield file
        return
    filesystem, inner = file_system(path)
    with reachable(path):
        opened = filesystem.open(inner, "rb")
    with opened as file:
        yield file


def read_file(path: str, allowed: int) -> bytes:
    """Return the content of a file of at most `allowed` bytes.

    Raises: RefusedFileError if it is larger or no regular file, OSError if it cannot be read.
    """
    if not is_remote(path):
        return read_regular(path, allowed)
    with open_file(path) as file:
        check_size(path, int(getattr(file, "size", None) or 0), allowed)
        data = bytes(file.read())
    check_size(path, len(data), allowed)
    return data
