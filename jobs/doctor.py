"""What this machine and its cluster look like, what is wrong, and how to mend it: `python -m jobs.doctor`."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from jobs.diagnosis import Finding, look_at_machine, look_at_ray, look_at_storage

WRONG = 1
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the findings and leave the process: 0 nothing is wrong, 1 something is."""
    parser = argparse.ArgumentParser(prog="python -m jobs.doctor", description=__doc__)
    parser.add_argument("--storage", default="runs", help="directory or URI below which runs are kept [runs]")
    parser.add_argument("--address", help="dashboard of a cluster to look at, such as http://127.0.0.1:8265")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the lines")
    options = parser.parse_args(arguments)
    findings = examine(options.storage, options.address)
    if options.json:
        print(json.dumps({"findings": [asdict(finding) for finding in findings]}))
    else:
        print_findings(findings)
    if any(finding.verdict == "wrong" for finding in findings):
        sys.exit(WRONG)


if __name__ == "__main__":
    main()
