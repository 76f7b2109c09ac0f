"""Check this machine, its cluster and its storage; every problem comes with a remedy."""

import json
from collections.abc import Sequence

from jobs.command.exit import DONE, PROBLEMS
from jobs.doctor.cluster import check_ray
from jobs.doctor.finding import Finding
from jobs.doctor.machine import check_machine
from jobs.doctor.storage import check_storage

MARKS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


def doctor(storage: str, address: str | None, *, as_json: bool) -> int:
    """Print every finding.

    Args:
        storage: directory or URI below which runs are kept.
        address: the cluster's dashboard, such as http://127.0.0.1:8265; None checks only this
            machine.
        as_json: whether to print one JSON object.

    Returns: the exit status: `PROBLEMS` if something is wrong.
    """
    findings = [*check_machine(), *check_ray(address), *check_storage(storage)]
    if as_json:
        print(json.dumps({"findings": [finding.to_json() for finding in findings]}))
    else:
        print_findings(findings)
    return PROBLEMS if any(finding.verdict == "wrong" for finding in findings) else DONE


def print_findings(findings: Sequence[Finding]) -> None:
    """Print one line for each finding, and a second one for its remedy."""
    for finding in findings:
        print(f"{MARKS[finding.verdict]} {finding.name:<26}{finding.seen}")
        if finding.remedy:
            print(f"{'':<32}-> {finding.remedy}")
    wrong = sum(finding.verdict == "wrong" for finding in findings)
    print(f"\n{wrong} wrong" if wrong else "\nnothing is wrong")
