"""RECORD, the list of the files of a wheel with their digests (PEP 376, PEP 427)."""

import base64
import csv
import hashlib
import io
import zipfile


def record_name(wheel: zipfile.ZipFile) -> str:
    """Return the name of the list of a wheel; packages inside Ray's have lists of their own."""
    (name,) = (
        name
        for name in wheel.namelist()
        if name.endswith(".dist-info/RECORD") and name.count("/") == 1
    )
    return name


def record_line(name: str, content: bytes) -> str:
    """Return the line of one file."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([name, f"sha256={_digest(content)}", len(content)])
    return line.getvalue()


def wrong_files(wheel: zipfile.ZipFile) -> list[str]:
    """Return the names of files that are not as the list says, missing or not in it."""
    listed = record_name(wheel)
    rows = list(csv.reader(io.StringIO(wheel.read(listed).decode())))
    digests = {row[0]: row[1] for row in rows}
    present = {name for name in wheel.namelist() if not name.endswith("/")}
    wrong = sorted(present ^ digests.keys())
    for name in sorted(present & digests.keys() - {listed}):
        if digests[name] != f"sha256={_digest(wheel.read(name))}":
            wrong.append(name)
    return wrong


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
