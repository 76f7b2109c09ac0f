"""Arrays of features, labels and confidences from .npy, .npz, Parquet and text files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jobs.select.columns import read_column
from otcondense import npy, npz
from otcondense.datasets.parquet_open import open_parquet
from otcondense.errors import InputError
from otcondense.near_names import near_path
from otcondense.reading import RefusedFileError, open_regular, read_text

SUFFIXES = (".npy", ".npz", ".parquet")
SHOWN = 5
"""Names that a message lists."""


@dataclass(frozen=True)
class ArrayFile:
    """A file that holds one array, or several by name."""

    path: str

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its arrays or columns; none for a file of one array.

        Raises: InputError if it is missing or damaged.
        """
        if self.path.endswith(".npz"):
            with npz.opened(self.path) as archive:
                return tuple(npz.names_of(archive))
        if self.path.endswith(".parquet"):
            with open_parquet(self.path) as opened:
                return tuple(opened.schema.names)
        return ()

    def read(self, name: str = "") -> np.ndarray:
        """Return one array.

        Args:
            name: of the array or column; empty for a file of one array.

        Raises: InputError if it is missing, damaged or larger than the file can hold.
        """
        if self.path.endswith(".npz"):
            with npz.opened(self.path) as archive:
                return npz.read_member(self.path, archive, name)
        if self.path.endswith(".parquet"):
            return read_column(self.path, name)
        if self.path.endswith(".npy"):
            return _array(self.path)
        text = read_text(self.path, f"{self.path} must be a text file with a value in each line")
        lines = text.removesuffix("\n").split("\n")
        return np.array([line.removesuffix("\r") for line in lines])


def open_arrays(path: str) -> ArrayFile:
    """Return the file of features.

    Raises: InputError if there is none of a known form.
    """
    if not path.endswith(SUFFIXES):
        raise InputError(
            f"features must be a {', '.join(SUFFIXES)} file, found {path}; "
            "write one with numpy.save, a row for each image"
        )
    try:
        open_regular(path).close()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(
            f"features must be a file, found nothing at {path}{near_path(Path(path))}"
        ) from error
    except RefusedFileError as error:
        raise InputError(f"features must be a file; {error}") from error
    return ArrayFile(path)


def find_array(file: ArrayFile, default: str, named: str | None) -> np.ndarray | None:
    """Return an array that an option names, or the one of the default name; None if neither is.

    Args:
        file: of the features.
        default: name in that file.
        named: value of the option: a file, or a name in the file of the features.

    Raises: InputError if the named one is missing.
    """
    names = file.names
    if named is None:
        return file.read(default) if default in names else None
    if named in names:
        return file.read(named)
    if Path(named).is_file():
        other = ArrayFile(named)
        return other.read(_only(other, default))
    there = f"; {file.path} has {', '.join(names[:SHOWN])}" if names else ""
    raise InputError(f"--{default.replace('_', '-')} names no file: {named}{there}")


def _only(file: ArrayFile, default: str) -> str:
    """Return the name of the array of a file: the default one or its only one.

    Raises: InputError if it has several, or none.
    """
    names = file.names
    if not file.path.endswith((".npz", ".parquet")):
        return ""
    if default in names or len(names) == 1:
        return default if default in names else names[0]
    raise InputError(
        f"{file.path} must have an array `{default}`, or one array alone, found "
        f"{', '.join(names[:SHOWN]) or 'none'}"
    )


def find_features(file: ArrayFile) -> np.ndarray:
    """Return the features as float32 [n, d].

    Raises: InputError if there are none, or they are not finite numbers [n, d].
    """
    values = file.read(_only(file, "features"))
    where = f"features in {file.path}"
    if values.ndim != 2 or values.dtype.kind not in "fiub" or not values.size:
        raise InputError(
            f"{where} must be numbers [n, d], found {values.dtype} {list(values.shape)}; "
            "give a row of numbers for each image"
        )
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32, copy=False)
    if np.isfinite(narrow).all():
        return narrow
    row, column = np.argwhere(~np.isfinite(narrow))[0]
    found = values[row, column]
    if np.isfinite(found):
        raise InputError(f"{where} must fit 32-bit numbers, found {found:g}; scale them")
    raise InputError(f"{where} must be finite, found {found:g} in row {row}; leave such rows out")


def _array(path: str) -> np.ndarray:
    with open_regular(path) as file, npy.readable(path):
        header = npy.read_header(file)
        start = file.tell()
        held = file.seek(0, 2) - start
        if header.size_bytes > held:
            raise ValueError(f"it claims {header.text} and has {held} bytes")
        file.seek(start)
        return npy.read_array(file, header)
