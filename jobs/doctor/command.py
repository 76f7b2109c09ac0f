"""What this machine and its cluster look like, what is wrong, and how to mend it: `python -m jobs.doctor`."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from jobs.command.exit import DONE, PROBLEMS
from jobs.doctor.cluster import look_at_ray
from jobs.doctor.finding import Finding
from jobs.doctor.machine import look_at_machine
from jobs.doctor.storage import look_at_storage

MARKS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


def examine(storage: str, address: str | None) -> list[Finding]:
    """Return every finding.

    Args:
        storage: directory or URI below which runs are kept.
        address: the cluster's dashboard, such as http://127.0.0.1:8265; None looks at no cluster but this machine's.
    """
    return [*look_at_machine(), *look_at_ray(address), *look_at_storage(storage)]


def print_findings(findings: Sequence[Finding]) -> None:
    """Print one line for each finding, and one more for how to mend it."""
    for finding in findings:
        print(f"{MARKS[finding.verdict]} {finding.name:<26}{finding.seen}")
        if finding.mend:
            print(f"{'':<32}-> {finding.mend}")
    wrong = sum(finding.verdict == "wrong" for finding in findings)
    print(f"\n{wrong} wrong" if wrong else "\nnothing is wrong")


def doctor(storage: str, address: str | None, *, as_json: bool) -> int:
    """Print every finding.

    Returns: the exit status: `PROBLEMS` if something is wrong.
    """
    findings = examine(storage, address)
    if as_json:
        print(json.dumps({"findings": [asdict(finding) for finding in findings]}))
    else:
        print_findings(findings)
    return PROBLEMS if any(finding.verdict == "wrong" for finding in findings) else DONE
