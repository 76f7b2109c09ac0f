"""The run that faults are tried on: the whole way at tiny size, and an undisturbed one to compare with."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from tests.chaos.commands import Command, Ended
from tests.chaos.faults import stage_of
from tests.ray.tiny import write_config

OTHER = ("logs", "report", "config.yaml", ".lock", "sweeps")
"""What no result is: it has times and paths in it."""
TOGETHER = ("subset-", "best.json", "metrics.jsonl", "_quarantine.parquet", "images-")
"""Results that are made of others in a moment, and are written again where one of these was."""


@dataclass(frozen=True)
class Subject:
    """A configuration, its images and weights, and an undisturbed run of it."""

    root: Path

    @classmethod
    def make(cls, root: Path) -> "Subject":
        """Write the configuration and run it once, to its end."""
        config = write_config(root, models=("sit",), subsets=("geometry_aware",), lean=True)
        values = yaml.safe_load(config.read_text())
        values["selection"]["methods"] = ["geometry_aware"]
        config.write_text(yaml.safe_dump(values))
        subject = cls(root)
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

    def run(self, run: Path, overrides: tuple[str, ...] = (), **environment: str) -> Ended:
        """Run to the end."""
        command = self.start(run, overrides=overrides, **environment)
        try:
            return command.end()
        finally:
            command.clean()

    @contextmanager
    def without(self, stage: str | None) -> Iterator[Path]:
        """A copy of the undisturbed run in which a stage has not been done yet; None leaves all of it."""
        folder = Path(tempfile.mkdtemp(prefix="chaos-", dir=self.root))
        run = folder / "run"
        shutil.copytree(
            self.root / "run",
            run,
            ignore=lambda folder, names: [
                name for name in names if name == "logs" or name.startswith(".")
            ],
        )
        for name in self.results if stage is not None else ():
            if stage_of(name) == stage:
                (run / name).unlink()
        try:
            yield run
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def results(run: Path) -> dict[str, bytes]:
    """Return the content of every result of a run by its name."""
    names = {
        path.relative_to(run).as_posix(): path for path in sorted(run.rglob("*")) if path.is_file()
    }
    return {name: path.read_bytes() for name, path in names.items() if not name.startswith(OTHER)}


def finished(subject: Subject, run: Path) -> dict[str, int]:
    """Return when each finished piece of work was written: results that are as they must be, a checkpoint if all of it is."""
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


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def differences(subject: Subject, run: Path) -> list[str]:
    """Return what is not as in the undisturbed run: missing, other and surplus files."""
    found, wanted = results(run), subject.results
    return sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
