"""A copy of a wheel without some of its files."""

import zipfile
from pathlib import Path

from benchmarks.gpu_bundle.changes import Change
from benchmarks.gpu_bundle.record import record_line, record_name

READABLE = 0o644
"""Rights of the files that are made here."""
NOTICE = "REPACKED.txt"
"""File of the wheel's metadata that says what was left out."""
WRITTEN = (1980, 1, 1, 0, 0, 0)
"""Date of the files that are made here, so that the same wheel has the same bytes."""


def repack(source: Path, target: Path, change: Change) -> None:
    """Write a copy of a wheel without some files, with a list of files that fits.

    Licences stay, and a notice in the metadata names what is missing.

    Args:
        source: the wheel.
        target: the copy; its name must stay that of the wheel.
        change: what is left out and added.
    """
    assert source.name == target.name, "the name of a wheel says what it is for"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        listed = record_name(old)
        lines = []
        for entry in old.infolist():
            if entry.is_dir() or entry.filename == listed:
                continue
            if change.keeps(entry.filename):
                lines.append(_copied(entry, old, new))
        notice = {f"{Path(listed).parent}/{NOTICE}": change.notice(source.name)}
        for name, text in (change.added | notice).items():
            lines.append(_added(_entry(name), text.encode(), new))
        lines.append(f"{listed},,")
        _added(_entry(listed), "\n".join([*lines, ""]).encode(), new)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, WRITTEN)
    entry.external_attr = READABLE << 16
    return entry


def _copied(entry: zipfile.ZipInfo, old: zipfile.ZipFile, new: zipfile.ZipFile) -> str:
    """Copy one file with its date and rights; return its line in the list."""
    kept = zipfile.ZipInfo(entry.filename, entry.date_time)
    kept.external_attr = entry.external_attr
    return _added(kept, old.read(entry), new)


def _added(entry: zipfile.ZipInfo, content: bytes, new: zipfile.ZipFile) -> str:
    new.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return record_line(entry.filename, content)
