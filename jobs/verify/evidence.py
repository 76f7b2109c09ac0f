"""What all checks look at: the run, its tables and the images of its source, each read once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from jobs.command.progress import note
from jobs.run_directory.run import Run
from jobs.verify.files import Facts, Problem, check_class_file, read_facts
from otcondense.datasets import ImageRecord, by_class, scan_images
from otcondense.errors import InputError

Value = TypeVar("Value")
STALE = "made from other inputs than the run has now"


@dataclass(frozen=True)
class Evidence:
    """A run as it lies there."""

    run: Run
    facts: dict[str, Facts]
    """Of every undamaged table."""
    classes: tuple[str, ...]
    """Names of the source's classes by index, those without images too; empty if it cannot be read."""
    images: dict[str, list[ImageRecord]]
    """Images of the source by class; empty if it cannot be read."""
    damaged: list[Problem] = field(default_factory=list)
    """What is wrong with files by themselves."""

    def has_any(self, directory: str) -> bool:
        """Tell whether a stage has begun to fill a directory."""
        return any(name.startswith(f"{directory}/") for name in self.facts) or bool(
            self.run.store.list(directory)
        )

    def check(self, name: str, verb: str, expected: str | None) -> Iterator[Problem]:
        """Check that a table is there and carries the fingerprint that its stage would give it now; None stands for one that cannot be known."""
        if not self.run.store.exists(name):
            yield Problem(name, "the file is missing", verb)
        elif (
            name in self.facts and expected is not None and self.facts[name].fingerprint != expected
        ):
            yield Problem(name, STALE, verb)


def gather(run: Run) -> Evidence:
    """Read every file of a run and list its source."""
    facts, damaged = read_facts(run.store)
    damaged += [problem for name, each in facts.items() for problem in check_class_file(name, each)]
    listing = known("images of the source", lambda: scan_images(run.config.source))
    if listing is None:
        return Evidence(run, facts, (), {}, damaged)
    return Evidence(run, facts, listing.classes, by_class(listing.records), damaged)


def known(what: str, compute: Callable[[], Value]) -> Value | None:
    """Return what a check needs from outside the run, or say why it cannot be had and return None."""
    try:
        return compute()
    except InputError as error:
        note("verify", f"{what} cannot be checked ({error})")
        return None
