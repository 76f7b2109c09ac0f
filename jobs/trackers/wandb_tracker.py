"""Runs in Weights & Biases, without a network by default."""

import io
import os
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jobs.run_directory.trackers_config import WandbConfig
from jobs.trackers.tracker import Row, Subject
from otcondense.reading import with_home

START_SECONDS = 30.0
"""How long a start waits for the server; the run goes on meanwhile."""
UPLOAD_SECONDS = 60.0
"""How long the end waits for uploads; `wandb sync` uploads the rest."""
NO_REPORTS = ("WANDB_ERROR_REPORTING", "false")
"""Variable that is set unless the user sets it: the library would report its use and its errors to
its makers, in offline mode too."""


class WandbTracker:
    """One run in Weights & Biases.

    It is told nothing but what the methods say: no output of the terminal, no code, no state of a
    git repository.
    """

    def __init__(self, config: WandbConfig) -> None:
        self._config = config
        self._run: Any = None
        self._groups: set[str] = set()

    def start(self, subject: Subject) -> str:
        """Begin a run, or go on with one of the same id.

        Raises: PermissionError without a key; errors of the library.
        """
        os.environ.setdefault(*NO_REPORTS)
        import wandb

        is_online = self._config.mode == "online"
        if is_online and not wandb.login(prompt=False):
            raise PermissionError("no key for W&B; set WANDB_API_KEY, or run `wandb login`")
        identity = subject.identity or uuid.uuid4().hex[:8]
        self._run = wandb.init(
            project=self._config.project,
            entity=self._config.entity,
            mode=self._config.mode,
            dir=self._folder(subject),
            id=identity,
            name=subject.title,
            group=subject.group or None,
            config=dict(subject.config),
            resume="allow" if is_online else None,
            reinit="create_new",
            settings=_settings(wandb),
        )
        return identity

    def _folder(self, subject: Subject) -> str | None:
        """Return where its files are; None is W&B's own default."""
        if self._config.folder is not None:
            folder = with_home(self._config.folder)
        elif subject.store.is_local and "WANDB_DIR" not in os.environ:
            folder = Path(subject.store.path("logs"))
        else:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    def stage(self, name: str) -> None:
        """Show the stage in the summary."""
        self._run.summary["stage"] = name

    def values(self, group: str, values: Mapping[str, float], step: int | None) -> None:
        """Show values; each group has steps of its own."""
        named = {f"{group}/{name}": value for name, value in values.items()}
        if step is None:
            self._run.summary.update(named)
            return
        self._run.log({**self._at(group, step), **named})

    def _at(self, group: str, step: int) -> dict[str, int]:
        """Return the step of a group as W&B wants it: a value that others are drawn over."""
        key = f"{group}/step"
        if group not in self._groups:
            self._groups.add(group)
            self._run.define_metric(key, hidden=True)
            self._run.define_metric(f"{group}/*", step_metric=key)
        return {key: step}

    def table(self, name: str, rows: Sequence[Row]) -> None:
        """Show a table."""
        import wandb

        columns = list(dict.fromkeys(key for row in rows for key in row))
        data = [[row.get(column) for column in columns] for row in rows]
        self._run.log({name: wandb.Table(columns=columns, data=data, allow_mixed_types=True)})

    def image(self, group: str, png: bytes, step: int) -> None:
        """Show a picture."""
        import wandb
        from PIL import Image

        with Image.open(io.BytesIO(png)) as picture:
            self._run.log({**self._at(group, step), f"{group}/grid": wandb.Image(picture)})

    def file(self, name: str, data: bytes) -> None:
        """Keep a file as an artifact; the same bytes are one version."""
        import wandb

        artifact = wandb.Artifact(Path(name).stem, type="subset")
        with tempfile.TemporaryDirectory(prefix="otcondense-wandb-") as folder:
            path = Path(folder, Path(name).name)
            path.write_bytes(data)
            artifact.add_file(str(path), policy="mutable")
        self._run.log_artifact(artifact)

    def finish(self, *, failed: bool) -> str:
        """End the run; return its page, or the command that uploads it."""
        folder = Path(self._run.dir).parent
        self._run.finish(exit_code=int(failed))
        if self._config.mode == "online":
            return f"{self._run.url}"
        return f"offline; upload it with `wandb sync {folder}`"


def _settings(wandb: Any) -> Any:
    return wandb.Settings(
        silent=True,
        console="off",
        disable_code=True,
        disable_git=True,
        save_code=False,
        init_timeout=START_SECONDS,
        finish_timeout=UPLOAD_SECONDS,
        finish_timeout_raises=True,
    )
