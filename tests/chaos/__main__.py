"""Break runs at random and check that nothing is lost.

Each fault is drawn from its seed and number alone, as in
`python -m tests.chaos --seed 0 --from 0 --count 20`. Outcomes are appended to
tests/chaos/outcomes.jsonl; `--table` prints their table.
"""

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.chaos.faults import Fault
from tests.chaos.outcomes import FILE, Outcome, read, table
from tests.chaos.subject import Subject
from tests.chaos.trying import Workshop, attempt

OF_CLUSTERS = ("node_loss", "head_restart")
"""Tried by the main thread: only it may set signal handlers, as a cluster of several nodes does."""


def main() -> None:
    """Try faults, print and append each outcome, and end with 1 if one has failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the series of faults [0]")
    parser.add_argument(
        "--from", type=int, default=0, dest="first", help="number of the first fault [0]"
    )
    parser.add_argument("--count", type=int, default=20, help="how many faults to try [20]")
    parser.add_argument("--jobs", type=int, default=1, help="how many to try at a time [1]")
    parser.add_argument(
        "--resume", action="store_true", help="leave out what the output file has, unless it failed"
    )
    parser.add_argument("--kind", help="try the faults of this kind alone, among those numbers")
    parser.add_argument(
        "--output", type=Path, default=FILE, help=f"file to append outcomes to [{FILE.name}]"
    )
    parser.add_argument(
        "--table",
        action="store_true",
        help="print the table of all outcomes so far, and try nothing",
    )
    options = parser.parse_args()
    if options.table:
        print(table(read(options.output)))
        return
    with tempfile.TemporaryDirectory(prefix="chaos-") as root:
        workshop = Workshop(Subject.make(Path(root)))
        try:
            outcomes = try_all(workshop, options)
        finally:
            workshop.close()
    print(table(vars(outcome) | {"has_passed": outcome.has_passed} for outcome in outcomes))
    sys.exit(any(outcome.is_hit and not outcome.has_passed for outcome in outcomes))


def try_all(workshop: Workshop, options: argparse.Namespace) -> list[Outcome]:
    """Try the faults that were asked for."""
    known = read(options.output) if options.resume else []
    done = {
        row["number"]
        for row in known
        if row["seed"] == options.seed and (row["has_passed"] or not row["is_hit"])
    }
    numbers = range(options.first, options.first + options.count)
    faults = {
        number: workshop.fault(options.seed, number) for number in numbers if number not in done
    }
    wanted = {
        number: fault for number, fault in faults.items() if options.kind in (None, fault.kind)
    }

    def one(number: int) -> Outcome:
        outcome = attempt(workshop, wanted[number], options.seed, number)
        _tell(wanted[number], outcome)
        with options.output.open("a") as file:
            file.write(outcome.line() + "\n")
        return outcome

    with ThreadPoolExecutor(options.jobs) as pool:
        elsewhere = [
            pool.submit(one, number)
            for number, fault in wanted.items()
            if fault.kind not in OF_CLUSTERS
        ]
        here = [one(number) for number, fault in wanted.items() if fault.kind in OF_CLUSTERS]
        return [*here, *(each.result() for each in elsewhere)]


def _tell(fault: Fault, outcome: Outcome) -> None:
    state = "missed" if not outcome.is_hit else "passed" if outcome.has_passed else "FAILED"
    print(f"{outcome.number:>5} {state}  {fault.name}  {outcome.seconds:.0f} s", flush=True)
    for problem in outcome.problems:
        print(f"      {problem}", flush=True)


if __name__ == "__main__":
    main()
