"""Damage to files: `jobs.verify` finds it, and the same command recomputes them."""

from pathlib import Path

from jobs.run_directory.opening import read_run
from jobs.verify.command import verify
from otcondense.errors import InputError
from tests.chaos.faults import Fault, family
from tests.chaos.subject import Subject
from tests.runs import results


def damage(subject: Subject, run: Path, fault: Fault) -> None:
    """Damage one file as the fault says."""
    path, how, place = run / fault.settings["file"], fault.settings["how"], fault.settings["place"]
    content = path.read_bytes()
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


def _others(subject: Subject, name: str) -> list[str]:
    """Return the results of the same kind with another content."""
    same = [each for each in subject.results if each != name and family(each) == family(name)]
    return [each for each in same if subject.results[each] != subject.results.get(name)]


def is_found(run: Path) -> bool:
    """Tell whether `jobs.verify` finds something."""
    try:
        return bool(verify(read_run(str(run))))
    except InputError:
        return True


def is_harmless(subject: Subject, run: Path) -> bool:
    """Tell whether the damage made no difference to any result: a swap of equal files."""
    return results(run) == subject.results


def may_be_missing(name: str) -> bool:
    """Tell whether the file could also be missing because its stage has not run yet."""
    return "/metrics/" in name or "/quality-" in name
