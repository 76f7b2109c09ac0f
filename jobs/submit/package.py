"""The working directory of a job: the workflow as a zip file, named by its content."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from otcondense.errors import InputError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILES = (".gitignore", ".rayignore")
IN_WHEEL = "_workflow"
"""The folder of the workflow in an installed package; in a checkout it is the root."""
UNUSED = ("__pycache__/", "*.pyc", f"/{IN_WHEEL}/")
"""What an installed package has beside its source; a checkout names such files in its own lists."""
LIMIT_BYTES = 100 * 2**20
"""Ray's dashboard takes no larger request."""
NAMED_FILES = 3
"""Files that the error for a large package names."""
EARLIEST = (1980, 1, 1, 0, 0, 0)
"""Time of every file in the zip, the earliest that the format has: equal content, equal name."""
NAME_DIGITS = 32
"""Hexadecimal digits of the SHA-256 in the name: 128 bits, as many as Git's hashes need."""
MODE_SHIFT = 16
"""A zip file keeps the Unix mode in the upper half of a field of 32 bits."""


@dataclass(frozen=True)
class Package:
    """A zip file that a cluster unpacks as the working directory of a job."""

    name: str
    data: bytes


@dataclass(frozen=True)
class _Ignore:
    """The patterns of one ignore file."""

    folder: Path
    patterns: GitIgnoreSpec

    def matches(self, path: Path) -> bool:
        name = path.relative_to(self.folder).as_posix()
        return self.patterns.match_file(f"{name}/" if path.is_dir() else name)


def pack(root: Path, own: Mapping[str, Path] | None = None) -> Package:
    """Return the workflow, with the package `otcondense` beside it, as in a checkout.

    Args:
        root: a checkout, of which the files are taken that no .gitignore or .rayignore excludes; or
            the folder of the workflow in an installed package.
        own: the user's own files by their names in the zip file.

    Raises: InputError if they are larger than Ray takes.
    """
    files = {**_files_by_name(root), **(own or {})}
    _check_size(root, files)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in files.items():
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = path.stat().st_mode << MODE_SHIFT
            archive.writestr(entry, path.read_bytes())
    data = buffer.getvalue()
    return Package(f"_ray_pkg_{hashlib.sha256(data).hexdigest()[:NAME_DIGITS]}.zip", data)


def _files_by_name(root: Path) -> dict[str, Path]:
    """Return the files of the workflow by their names in the zip file."""
    if root.name != IN_WHEEL:
        return {path.relative_to(root).as_posix(): path for path in files_of(root)}
    package = root.parent
    files = {path.relative_to(root): path for path in files_of(root, [_unused(root)])}
    for path in files_of(package, [_unused(package)]):
        files[path.relative_to(package.parent)] = path
    return {name.as_posix(): path for name, path in files.items()}


def _unused(folder: Path) -> _Ignore:
    from pathspec import GitIgnoreSpec

    return _Ignore(folder, GitIgnoreSpec.from_lines(UNUSED))


def files_of(folder: Path, outer: Sequence[_Ignore] = ()) -> Iterator[Path]:
    """Yield the files below a folder that no ignore file excludes, sorted by name.

    Args:
        folder: a directory; links are followed.
        outer: the ignore files of the directories above it.
    """
    rules = [*outer, *_ignore_files(folder)]
    for path in sorted(folder.iterdir()):
        if any(rule.matches(path) for rule in rules):
            continue
        if path.is_file():
            yield path
        elif path.is_dir() and not _leads_upwards(path):
            yield from files_of(path, rules)


def _ignore_files(folder: Path) -> Iterator[_Ignore]:
    from pathspec import GitIgnoreSpec

    for name in IGNORE_FILES:
        file = folder / name
        if file.is_file():
            yield _Ignore(folder, GitIgnoreSpec.from_lines(file.read_text().splitlines()))


def _leads_upwards(path: Path) -> bool:
    """Tell whether a directory is a link to one above it, which would never end."""
    return path.is_symlink() and path.parent.resolve().is_relative_to(path.resolve())


def _check_size(root: Path, files: Mapping[str, Path]) -> None:
    """Refuse a package that Ray would refuse after a long upload."""
    sizes = {name: path.stat().st_size for name, path in files.items()}
    total = sum(sizes.values())
    if total <= LIMIT_BYTES:
        return
    largest = sorted(sizes, key=lambda name: sizes[name], reverse=True)[:NAMED_FILES]
    named = [f"{name} ({_mebibytes(sizes[name])})" for name in largest]
    raise InputError(
        f"the files of {root} must have at most {_mebibytes(LIMIT_BYTES)} to be sent with a job, "
        f"found {_mebibytes(total)}; the largest are {', '.join(named)}: "
        "name files that the job does not need in .rayignore"
    )


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
