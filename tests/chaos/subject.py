"""The run that faults are tried on: all stages at tiny size, and an undisturbed one to compare."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from otcondense.store.local_files import DISPLACED
from tests.chaos.faults import stage_of
from tests.commands import Command, Ended
from tests.ray.tiny import write_config
from tests.runs import copy_run, results

EXPORT = "exports/subset"
"""Name of an export into a run."""
TOGETHER = ("subset-", "best.json", "metrics.jsonl", "_quarantine.parquet", "images-")
"""Results that are made of others in a moment, and are written again where one of these was."""
LEAN = {
    "extraction": {"num_encoders": 0},
    "selection": {
        "budget": 4,
        "methods": ["geometry_aware"],
        "pool": {"num_actors": 1, "num_cpus": 0},
    },
    "samplers": {"num_actors": 1, "num_cpus": 0},
}
"""Settings with as few processes as possible; the bytes are the same."""


@dataclass(frozen=True)
class Subject:
    """A configuration, its images and weights, and an undisturbed run of it."""

    root: Path

    @classmethod
    def make(cls, root: Path) -> "Subject":
        """Write the configuration and run it once, to its end."""
        write_config(root, models=("sit",), subsets=("geometry_aware",), lean=True)
        return cls._of(root)

    @classmethod
    def of(cls, finished: Path, root: Path) -> "Subject":
        """Take the part with one model on one subset out of a finished tiny run."""
        # Chosen images are encoded for all subsets together.
        copy_run(finished, root, without=("*random*", "dit-*", "chosen-*"))
        return cls._of(root)

    @classmethod
    def _of(cls, root: Path) -> "Subject":
        subject = cls(root)
        values = yaml.safe_load(subject.config.read_text()) | LEAN
        values["models"] = {"sit": values["models"]["sit"]}
        values["models"]["sit"]["training"] |= {"num_workers": 0, "subsets": ["geometry_aware"]}
        subject.config.write_text(yaml.safe_dump(values))
        ended = subject.run(root / "run")
        assert ended.code == 0, ended.output
        return subject

    @property
    def config(self) -> Path:
        return self.root / "tiny.yaml"

    @cached_property
    def results(self) -> dict[str, bytes]:
        """Every result of the undisturbed run."""
        return results(self.root / "run")

    def start(
        self, run: Path, verb: str = "run", overrides: tuple[str, ...] = (), **environment: str
    ) -> Command:
        return Command(verb, [f"--config={self.config}", f"--run={run}", *overrides], environment)

    def start_on(self, run: Path, verb: str) -> Command:
        """Start a verb that takes nothing but a run directory."""
        return Command(verb, [str(run)])

    def run(self, run: Path, overrides: tuple[str, ...] = (), **environment: str) -> Ended:
        """Run to the end."""
        command = self.start(run, overrides=overrides, **environment)
        try:
            return command.end()
        finally:
            command.clean()

    @contextmanager
    def without(self, stage: str | None, *, logs: bool = False) -> Iterator[Path]:
        """A copy of the undisturbed run without the results of a stage; None leaves all of it."""
        folder = Path(tempfile.mkdtemp(prefix="chaos-", dir=self.root))
        run = folder / "run"
        shutil.copytree(
            self.root / "run",
            run,
            ignore=lambda folder, names: [
                name for name in names if (name == "logs" and not logs) or name.startswith(".")
            ],
        )
        for name in self.results if stage is not None else ():
            if stage_of(name) == stage:
                (run / name).unlink()
        try:
            yield run
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def finished(subject: Subject, run: Path) -> dict[str, int]:
    """Return when each finished piece of work was written.

    Finished are results that are as they must be, and a checkpoint if all of its files are.
    """
    found = {name for name, content in results(run).items() if subject.results.get(name) == content}
    incomplete = {
        _folder(name) for name in subject.results.keys() - found if "/checkpoints/" in name
    }
    begun = {name for name in found if _folder(name) in incomplete}
    return {
        name: (run / name).stat().st_mtime_ns
        for name in found - begun
        if not any(each in name for each in TOGETHER)
    }


def _is_ours(name: str) -> bool:
    """Tell whether a file is the run's: not renamed as an obstacle, nor an export into the run."""
    return f"/{DISPLACED}" not in f"/{name}" and not name.startswith(EXPORT)


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def differences(subject: Subject, run: Path) -> list[str]:
    """Return what is not as in the undisturbed run: missing, other and surplus files."""
    found, wanted = results(run), subject.results
    found = {name: content for name, content in found.items() if _is_ours(name)}
    return sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
