"""The table of verbs: `python -m jobs` prints it, each verb reads its own description from it."""

from dataclasses import dataclass

from jobs.run_directory.stages import STAGES


@dataclass(frozen=True)
class Verb:
    """A command that a person starts as `python -m jobs.NAME`; its folder is `jobs/NAME/`."""

    name: str
    summary: str
    takes_config: bool = True
    """Whether it takes `--config` and `--run`, as all stages do."""
    runs_on_cluster: bool = True
    """Whether `jobs.submit` can send it to a cluster."""


GROUPS: dict[str, tuple[Verb, ...]] = {
    "Run": (
        Verb("run", "Run all stages; finished work is skipped"),
        *(Verb(stage.name, stage.summary) for stage in STAGES),
    ),
    "Compare": (
        Verb("compare", "Compare methods over budgets, training lengths and seeds"),
        Verb("sweep", "Try many settings with Ray Tune and keep the best"),
        Verb("measure", "Measure any images against any others, without a run", takes_config=False),
    ),
    "Look and export": (
        Verb("status", "Print how far a run is", takes_config=False),
        Verb(
            "dashboard", "Serve a page that shows a run", takes_config=False, runs_on_cluster=False
        ),
        Verb("verify", "Check every file of a run", takes_config=False),
        Verb("export", "Export a subset for other tools"),
        Verb("export_samples", "Export samples as npz, PNG files or Parquet"),
        Verb("convert", "Convert checkpoints from and to public formats", takes_config=False),
    ),
    "Cluster": (
        Verb(
            "submit",
            "Submit a verb to a cluster; list, follow and stop jobs",
            takes_config=False,
            runs_on_cluster=False,
        ),
        Verb("doctor", "Check this machine, the cluster and the storage", takes_config=False),
        Verb("prefetch", "Download and check all weights once", takes_config=False),
    ),
}
"""Every verb, in the groups that `python -m jobs` and README show."""

VERBS: dict[str, Verb] = {verb.name: verb for verbs in GROUPS.values() for verb in verbs}
"""Every verb by its name."""
