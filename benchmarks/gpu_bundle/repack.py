"""A wheel without some of its files."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gpu_bundle.record import record_line, record_name

NOTICE = "REPACKED.txt"
"""File of the wheel's metadata that says what was left out."""
WRITTEN = (1980, 1, 1, 0, 0, 0)
"""Date of the files that are made here, so that the same wheel has the same bytes."""


def repack(source: Path, target: Path, unused: Sequence[str]) -> None:
    """Write a copy of a wheel without some files, with a list of files that fits.

    Licences stay, and a notice in the metadata names what is missing.

    Args:
        source: the wheel.
        target: the copy; its name must stay that of the wheel.
        unused: beginnings of the names of the files to leave out.
    """
    assert source.name == target.name, "the name of a wheel says what it is for"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        listed = record_name(old)
        lines = []
        for entry in old.infolist():
            if entry.filename == listed or entry.filename.startswith(tuple(unused)):
                continue
            lines.append(_copied(entry, old, new))
        notice = zipfile.ZipInfo(f"{Path(listed).parent}/{NOTICE}", WRITTEN)
        lines.append(_added(notice, notice_text(source.name, unused).encode(), new))
        lines.append(f"{listed},,")
        _added(zipfile.ZipInfo(listed, WRITTEN), "\n".join([*lines, ""]).encode(), new)


def notice_text(name: str, unused: Sequence[str]) -> str:
    """Return what the copy says about itself, as the Apache licence asks for changed files."""
    return (
        f"This is a copy of {name} without the files below {', '.join(unused)}. "
        "All other files are unchanged; RECORD lists them.\n"
    )


def _copied(entry: zipfile.ZipInfo, old: zipfile.ZipFile, new: zipfile.ZipFile) -> str:
    """Copy one file with its date and rights; return its line in the list."""
    kept = zipfile.ZipInfo(entry.filename, entry.date_time)
    kept.external_attr = entry.external_attr
    return _added(kept, old.read(entry), new)


def _added(entry: zipfile.ZipInfo, content: bytes, new: zipfile.ZipFile) -> str:
    new.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return record_line(entry.filename, content)
