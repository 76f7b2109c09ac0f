"""The members of a tar that are images or labels, from its headers, and whether it is whole.

`tarfile` takes a damaged header for the end of the archive. So what follows the last member is
checked here: the blocks of zeros that end an archive, and nothing after them.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from otcondense.datasets.access import open_file
from otcondense.datasets.names import is_below
from otcondense.datasets.records import SourceConfig
from otcondense.datasets.suffixes import IMAGE_SUFFIXES, UNREAD_SUFFIXES, unread_suffix
from otcondense.datasets.trees import SourceFile
from otcondense.errors import InputError
from otcondense.reading import RefusedFileError, check_size, parse_json

LABEL_PARTS = ("cls", "json")
"""Suffixes of the members that may hold a label, the first one first."""
TEXT_PART = "txt"
"""Suffix of the members that may hold a caption."""
LABEL_BYTES = 2**20
"""Largest member that may hold a label: a JSON with captions and boxes is some kilobytes."""
HEADER_BYTES = 2**20
"""Most bytes that one header may take: an extended header holds a name and some numbers."""
END_BYTES = 2**26
"""Most zeros at the end of an archive: programs fill up blocks of 10 kB, tapes of some MB."""
UNREADABLE = (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError)
"""Errors of `tarfile` for damaged or hostile headers."""


class DamagedTarError(InputError):
    """A tar that is cut, damaged or compressed."""


@dataclass(frozen=True)
class TarImage:
    """A member that is an image."""

    name: str
    """Name in the tar."""
    offset: int
    size: int
    fault: str = ""
    """Why it cannot be used; empty if it can as far as its header says."""

    @property
    def stem(self) -> str:
        """Name without the last suffix."""
        return self.name.rpartition(".")[0]

    @property
    def key(self) -> str:
        """Name up to the first dot of the file: the key of WebDataset."""
        folder, slash, base = self.name.rpartition("/")
        return f"{folder}{slash}{base.partition('.')[0]}"


@dataclass
class Members:
    """The images and labels of one tar."""

    images: list[TarImage] = field(default_factory=list)
    labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Labels by suffix and by name without it; None for a JSON without one."""
    captions: dict[str, Any] = field(default_factory=dict)
    """Captions by name without suffix, as bytes, or as the value in a JSON."""
    two_captions: set[str] = field(default_factory=set)
    """Names without suffix that have two captions."""
    others: list[str] = field(default_factory=list)
    """Names of all other files."""

    def has_label(self, place: str) -> bool:
        """Tell whether there is a member for a label under a name without suffix."""
        return any(place in self.labels.get(part, {}) for part in LABEL_PARTS)

    def add_caption(self, place: str, value: Any) -> None:
        """Keep a caption; None is none."""
        if place in self.captions:
            self.two_captions.add(place)
        if value is not None:
            self.captions[place] = value


def read_members(file: SourceFile, source: SourceConfig) -> Members:
    """Read the headers, labels and captions of a tar.

    Args:
        file: the tar.
        source: says which labels and captions there are.

    Raises: DamagedTarError if it is not whole; InputError for a label that is no text, and a name
        that leads out of the archive.
    """
    members = Members()
    try:
        with (
            open_file(file.path) as opened,
            tarfile.open(fileobj=_Headers(opened), mode="r:") as tar,  # type: ignore[call-overload]
        ):
            for member in _all_members(tar):
                _add(members, file, source, member, opened)
            _check_end(opened, tar.offset)
    except RefusedFileError:
        raise
    except InputError:
        raise
    except UNREADABLE as error:
        raise DamagedTarError(
            f"{file.path} is not a readable, uncompressed tar file ({error}); "
            "restore it or leave it out"
        ) from error
    return members


class _Headers:
    """The file of a tar, of which only headers are read: none may claim gigabytes."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        if not 0 <= size <= HEADER_BYTES:
            raise tarfile.ReadError(f"a header claims {size} bytes")
        return bytes(self._file.read(size))


def _all_members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield all members but folders."""
    end = 0
    for member in tar:
        if member.size < 0 or tar.offset <= end:
            raise tarfile.ReadError("a header leads back to an earlier one")
        end = tar.offset
        if not member.isdir():
            yield member
        tar.members = []  # type: ignore[attr-defined]  # tarfile keeps every header otherwise


def _check_end(opened: Any, place: int) -> None:
    """Check that an archive ends after its last member.

    Raises: ReadError with what is there instead.
    """
    size = opened.seek(0, 2)
    if size - place > END_BYTES:
        raise tarfile.ReadError(f"{size - place} bytes follow byte {place}, which is no header")
    opened.seek(place)
    rest = opened.read(size - place)
    if len(rest) < tarfile.BLOCKSIZE:
        raise tarfile.ReadError(f"it ends at byte {size}, without the end of an archive")
    if rest[: tarfile.BLOCKSIZE].strip(b"\0"):
        raise tarfile.ReadError(f"the header at byte {place} is damaged")
    if rest.strip(b"\0"):
        after = place + len(rest) - len(rest.lstrip(b"\0"))
        raise tarfile.ReadError(f"there is more after its end, at byte {after}")


def _is_hidden(name: str) -> bool:
    """Tell whether a file or a folder above it has a name that starts with a dot."""
    return any(part.startswith(".") and part != ".." for part in name.split("/"))


def _add(
    members: Members, file: SourceFile, source: SourceConfig, member: tarfile.TarInfo, opened: Any
) -> None:
    """Keep a member that is an image or may hold a text, and the names of all others."""
    name = member.name.removeprefix("./")
    suffix = name.rpartition(".")[2].lower()
    is_image = f".{suffix}" in IMAGE_SUFFIXES | UNREAD_SUFFIXES
    is_label = suffix in text_parts(source) and member.isreg()
    if _is_hidden(name) or not (is_image or is_label):
        members.others.append(name)
        return
    if not is_below(name):
        raise InputError(
            f"{file.path} holds the name {member.name!a}, which leads out of the archive; "
            "do not use this file"
        )
    if is_image:
        fault = _fault(member, f".{suffix}")
        members.images.append(TarImage(name, member.offset_data, member.size, fault))
        return
    check_size(f"label {name} of {file.path}", member.size, LABEL_BYTES)
    place = opened.tell()
    opened.seek(member.offset_data)
    _add_text(members, file, source, name, opened.read(member.size))
    opened.seek(place)


def text_parts(source: SourceConfig) -> set[str]:
    """Return the suffixes of the members that hold labels or captions."""
    parts = set() if source.label_column is None else {*LABEL_PARTS}
    if source.captions is not None:
        parts.add(source.captions.partition(":")[0])
    return parts


def _add_text(
    members: Members, file: SourceFile, source: SourceConfig, name: str, data: bytes
) -> None:
    """Keep the label, the caption or both of a member."""
    stem, _, suffix = name.rpartition(".")
    suffix = suffix.lower()
    captions, _, key = (source.captions or "").partition(":")
    if suffix == TEXT_PART:
        members.add_caption(stem, data)
        return
    value = _value(file, PurePosixPath(stem).name, suffix, data)
    if suffix == captions:
        members.add_caption(stem, value.get(key))
    if source.label_column is not None:
        label = value if suffix == "cls" else value.get(source.label_column)
        members.labels.setdefault(suffix, {})[stem] = label


def _fault(member: tarfile.TarInfo, suffix: str) -> str:
    """Return why an image cannot be used, empty if it can."""
    if not member.isreg():
        return "is a link or special file in its tar, without bytes of its own"
    if member.issparse():
        return "is stored with gaps (a sparse file), which are not read"
    return "" if suffix in IMAGE_SUFFIXES else unread_suffix(suffix)


def _value(file: SourceFile, key: str, suffix: str, data: bytes) -> Any:
    """Return the text of a member, or the object in a JSON."""
    where = f"the label of key {key} in {file.path}"
    if suffix == "cls":
        try:
            return data.decode().strip()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{where} cannot be read ({error}); repair it or leave it out"
            ) from error
    values = parse_json(data, where)
    if not isinstance(values, dict):
        raise InputError(f"{where} cannot be read: it must be an object; repair it or leave it out")
    return values
