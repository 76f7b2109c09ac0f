"""The input of all checks: the run, its tables and the images of its source, each read once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from jobs.command.progress import note
from jobs.run_directory.run import Run
from jobs.verify.files import MISSING, Facts, Problem, check_class_file, read_facts
from otcondense.datasets import ImageRecord, Listing, scan_images
from otcondense.errors import InputError

Value = TypeVar("Value")
STALE = "its inputs or settings have changed since it was written"


@dataclass(frozen=True)
class Evidence:
    """The files of a run, and its source."""

    run: Run
    facts: dict[str, Facts]
    """Facts of every undamaged table, by name."""
    classes: tuple[str, ...]
    """Names of the source's classes by index, also without images; empty if it is unreadable."""
    images: Mapping[str, Sequence[ImageRecord]]
    """Images of the source by class; empty if it is unreadable."""
    listing: Listing | None = None
    """The images of the source; None if it is unreadable."""
    damaged: list[Problem] = field(default_factory=list)
    """Files that are damaged, whatever the configuration."""

    def has_any(self, directory: str) -> bool:
        """Tell whether a directory has files: its stage has started."""
        if any(name.startswith(f"{directory}/") for name in self.facts):
            return True
        return bool(self.run.store.list(directory))

    def check(self, name: str, expected: str | None) -> Iterator[Problem]:
        """Check that a table exists and has the fingerprint that its stage would give it now.

        Args:
            name: the table.
            expected: the fingerprint; None skips this check.
        """
        if not self.run.store.exists(name):
            yield Problem(name, MISSING)
            return
        facts = self.facts.get(name)
        if facts is not None and expected is not None and facts.fingerprint != expected:
            yield Problem(name, STALE)


def gather(run: Run) -> Evidence:
    """Read every file of a run and list its source."""
    facts, damaged = read_facts(run.store)
    for name, each in facts.items():
        damaged += check_class_file(name, each)
    listing = known("images of the source", lambda: scan_images(run.config.source))
    if listing is None:
        return Evidence(run, facts, (), {}, None, damaged)
    images = {name: listing.of_class(name) for name in listing.names}
    return Evidence(run, facts, listing.classes, images, listing, damaged)


def known(what: str, compute: Callable[[], Value]) -> Value | None:
    """Return a value that a check needs; if it is not available, print why and return None.

    Args:
        what: the value, in the plural.
        compute: computes the value.
    """
    try:
        return compute()
    except InputError as error:
        note("verify", f"{what} cannot be checked ({error})")
        return None
