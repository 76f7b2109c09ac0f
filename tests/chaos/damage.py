"""Damage to files: `otcondense verify` finds it, and the same command recomputes them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobs.run_directory.opening import read_run
from jobs.verify.command import verify
from otcondense.errors import InputError
from tests.chaos.faults import Fault, family
from tests.chaos.kinds import Missed
from tests.chaos.subject import Subject
from tests.runs import results


def damage(subject: Subject, run: Path, fault: Fault) -> None:
    """Damage one file as the fault says."""
    how, place = fault.settings["how"], fault.settings["place"]
    path = _drawn(run, fault.settings["file"], place)
    if how in OBSTACLES:
        _put(path, how)
        return
    content = path.read_bytes()
    if not content:
        raise Missed
    position = int(place * (len(content) - 1))
    if how == "missing":
        path.unlink()
    elif how == "emptied":
        path.write_bytes(b"")
    elif how == "truncated":
        path.write_bytes(content[:position])
    elif how == "swapped" and (others := _others(subject, fault.settings["file"])):
        other = run / others[position % len(others)]
        path.write_bytes(other.read_bytes())
        other.write_bytes(content)
    else:
        path.write_bytes(
            content[:position]
            + bytes([content[position] ^ 1 << position % 8])
            + content[position + 1 :]
        )


def _drawn(run: Path, name: str, place: float) -> Path:
    """Return a file by its name, or by a pattern and a place among those that match."""
    found = sorted(run.glob(name))
    if not found:
        raise Missed
    return found[int(place * len(found))]


def put_obstacle(run: Path, fault: Fault) -> None:
    """Put something else in the place of a file or folder."""
    _put(run / fault.settings["file"], fault.settings["what"])


def _put(path: Path, what: str) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    OBSTACLES[what](path)


def _full_folder(path: Path) -> None:
    path.mkdir()
    (path / "notes.txt").write_text("mine")


OBSTACLES: dict[str, Callable[[Path], Any]] = {
    "folder": Path.mkdir,
    "full folder": _full_folder,
    "file": Path.touch,
    "pipe": os.mkfifo,
    "broken link": lambda path: path.symlink_to("nowhere"),
    "circle": lambda path: path.symlink_to(path.name),
}


def damage_behind_link(subject: Subject, run: Path, fault: Fault) -> None:
    """Move a folder of results to another disk, as far as names go, and damage a file there."""
    folder = fault.settings["file"].split("/")[0]
    (run / folder).rename(run.parent / folder)
    (run / folder).symlink_to(run.parent / folder)
    damage(subject, run, fault)


def _others(subject: Subject, name: str) -> list[str]:
    """Return the results of the same kind with another content."""
    same = [each for each in subject.results if each != name and family(each) == family(name)]
    return [each for each in same if subject.results[each] != subject.results.get(name)]


def is_found(run: Path) -> bool:
    """Tell whether `otcondense verify` finds something."""
    try:
        return bool(verify(read_run(str(run))))
    except InputError:
        return True


def is_harmless(subject: Subject, run: Path) -> bool:
    """Tell whether the damage made no difference to any result: a swap of equal files."""
    return results(run) == subject.results


def may_be_missing(name: str) -> bool:
    """Tell whether the file could also be missing because its stage has not run yet."""
    if name.startswith("training") and name.count("/") <= 1:
        return True  # a whole training
    return "/metrics/" in f"{name}/" or "/quality-" in name
