"""One fault from beginning to end: disturb, start again, compare."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from threading import Lock

from tests.chaos.faults import Fault, draw
from tests.chaos.kinds import Missed
from tests.chaos.outcomes import Outcome
from tests.chaos.stands import RunStand, Stand
from tests.chaos.storage_stand import Bucket, StorageStand
from tests.chaos.subject import Subject
from tests.chaos.sweep_stand import SweepStand
from tests.commands import Ended

WHOLE = ("damage", "flip", "obstacle", "link", "sweep", "export")
"""Kinds that are tried on a whole run; for others, one stage is still to do."""
LOGGED = ("flip", "log")
"""Kinds that need the logs of the undisturbed run."""
CODES = {0, 1, 2, 3, 130, -2, -9, -15}
"""Done, an error, a user's mistake or a fault of the disk, `sys.exit`, interrupted, killed."""
LAST_LINES = 25
EARLIER_TRIES = 2


class Workshop:
    """All that faults are tried on; more than the undisturbed run is made when a kind needs it."""

    def __init__(self, subject: Subject) -> None:
        self.root = subject.root
        self.subject = subject
        self._open = ExitStack()
        self._source_lock = Lock()

    @cached_property
    def _sweep(self) -> dict[str, bytes]:
        return SweepStand.undisturbed(self.subject)

    @cached_property
    def _bucket(self) -> Bucket:
        return self._open.enter_context(Bucket.open(self.root))

    @cached_property
    def _own_source(self) -> Subject:
        """A run whose images and weights nobody else uses."""
        return Subject.make(self.root / "own")

    @contextmanager
    def stand(self, fault: Fault, name: str) -> Iterator[Stand]:
        """Make what one fault is tried on."""
        if fault.kind == "storage":
            yield StorageStand(self._bucket, name)
            return
        if fault.kind == "source":
            with self._source_lock, self._own_source.without(fault.stage) as run:
                yield RunStand(self._own_source, run)
            return
        is_whole = fault.kind in WHOLE
        with self.subject.without(
            None if is_whole else fault.stage, logs=fault.kind in LOGGED
        ) as run:
            yield (
                SweepStand(self.subject, run, self._sweep)
                if fault.kind == "sweep"
                else RunStand(self.subject, run)
            )

    def fault(self, seed: int, number: int) -> Fault:
        """Return fault `number` of a seed."""
        return draw(seed, number, sorted(self.subject.results))

    def close(self) -> None:
        self._open.close()


def attempt(workshop: Workshop, fault: Fault, seed: int, number: int) -> Outcome:
    """Try one fault; one that comes too late is tried again with a shorter delay."""
    outcome = _attempt(workshop, fault, seed, number)
    for _ in range(EARLIER_TRIES):
        if outcome.is_hit or "delay" not in fault.settings:
            break
        sooner = {**fault.settings, "delay": round(fault.settings["delay"] / 4, 2)}
        fault = replace(fault, settings=sooner)
        outcome = _attempt(workshop, fault, seed, number)
    return outcome


def _attempt(workshop: Workshop, fault: Fault, seed: int, number: int) -> Outcome:
    known = {
        "seed": seed,
        "number": number,
        "kind": fault.kind,
        "stage": fault.stage,
        "settings": fault.settings,
    }
    with workshop.stand(fault, f"{seed}-{number}") as stand:
        try:
            first = stand.disturb(fault)
        except Missed:
            return Outcome(**known, is_hit=False)
        except AssertionError as error:
            return Outcome(**known, problems=[str(error)])
        problems = list(problems_of(first, stand, fault))
        before = stand.finished()
        second = stand.again()
        after, different = stand.finished(), stand.differences()
        if second.code != 0 or second.is_hung:
            problems.append(f"the second start ended with {second.code}: {_last_lines(second)}")
        problems += [f"not as undisturbed: {', '.join(different[:5])}"] if different else []
        redone = [name for name in before if after.get(name) != before[name]]
        problems += [f"done again: {', '.join(redone[:5])}"] if redone else []
        code = None if first is None else first.code
        return Outcome(
            **known,
            exit_code=code,
            is_equal=not different,
            kept=len(before),
            redone=len(redone),
            seconds=second.seconds,
            problems=problems,
        )


def problems_of(first: Ended | None, stand: Stand, fault: Fault) -> Iterator[str]:
    """Yield what is wrong with how the disturbed start ended."""
    if first is None:
        return
    is_native = fault.settings.get("limit") == "memory"  # libraries abort as they like
    if first.is_hung:
        yield f"the disturbed start hung: {_last_lines(first)}"
    elif first.code not in CODES and not is_native:
        yield f"the disturbed start ended with {first.code}"
    if "Traceback (most recent call last)" in first.output:
        yield f"the disturbed start showed a traceback: {_last_lines(first)}"
    # What a killed worker was writing stays until the next start deletes it.
    # Results from another source may differ.
    is_comparable = first.code == 0 and fault.kind != "source"
    different = [name for name in stand.differences() if "/.tmp-" not in name and is_comparable]
    if different:
        names = ", ".join(different[:5])
        yield f"the disturbed start said it was done, and is not as undisturbed: {names}"


def _last_lines(ended: Ended) -> str:
    lines = [line.rpartition("\r")[2] for line in ended.output.splitlines()]
    return "\n".join(lines[-LAST_LINES:])
