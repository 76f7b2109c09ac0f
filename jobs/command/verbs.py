"""The table of verbs: `otcondense` prints it, each verb reads its own description from it."""

from dataclasses import dataclass

from jobs.run_directory.stages import ALL, STAGES, Access


@dataclass(frozen=True)
class Verb:
    """A command that a person starts as `otcondense NAME`; its folder is `jobs/NAME/`."""

    name: str
    summary: str
    access: Access | None = None
    """What it needs of the run directory; None if it takes no `--config` and `--run`."""
    runs_on_cluster: bool = True
    """Whether `otcondense submit` can send it to a cluster."""
    prints_result: bool = False
    """Whether what it prints is its result, so that nothing else may stand there."""

    @property
    def takes_config(self) -> bool:
        """Whether it takes `--config` and `--run`, as all stages do."""
        return self.access is not None

    @property
    def is_stage(self) -> bool:
        """Whether it is a stage that computes, or all of them."""
        is_stage = self.name in (ALL, *(stage.name for stage in STAGES))
        return is_stage and self.access is not Access.READS

    @property
    def can_be_fresh(self) -> bool:
        """Whether it takes `--fresh`."""
        return self.is_stage


GROUPS: dict[str, tuple[Verb, ...]] = {
    "Run": (
        Verb(ALL, "Run all stages; finished work is skipped", Access.STARTS),
        *(Verb(stage.name, stage.summary, stage.access) for stage in STAGES),
        Verb("select", "Select a subset of features in files, without a run"),
        Verb("stream", "Keep a subset of a stream of features, in one pass"),
    ),
    "Compare": (
        Verb("compare", "Compare methods over budgets, training lengths and seeds", Access.STARTS),
        Verb("sweep", "Try many settings with Ray Tune and keep the best", Access.STARTS),
        Verb("measure", "Measure any images against any others, without a run"),
    ),
    "Look and export": (
        Verb("status", "Print how far a run is"),
        Verb("dashboard", "Serve a page that shows a run", runs_on_cluster=False),
        Verb("verify", "Check every file of a run", Access.READS),
        Verb("export", "Export a subset or features for other tools", Access.READS),
        Verb(
            "card",
            "Print the card of a subset for the Hugging Face Hub",
            Access.READS,
            runs_on_cluster=False,
            prints_result=True,
        ),
        Verb("export_samples", "Export samples as npz, PNG files or Parquet", Access.READS),
        Verb("convert", "Convert checkpoints from and to public formats"),
    ),
    "Cluster and machine": (
        Verb(
            "submit",
            "Submit a verb to a cluster; list, follow and stop jobs",
            runs_on_cluster=False,
        ),
        Verb("doctor", "Check this machine, the cluster and the storage"),
        Verb("prefetch", "Download and check all weights once"),
        Verb(
            "completion",
            "Print what completes commands in bash, zsh or fish",
            runs_on_cluster=False,
        ),
    ),
}
"""Every verb, in the groups that `otcondense` and README show."""

VERBS: dict[str, Verb] = {verb.name: verb for verbs in GROUPS.values() for verb in verbs}
"""Every verb by its name."""
OF_JOBS = ("list", "follow", "stop")
"""Words after `otcondense submit` that are no verbs: they work on jobs that were submitted."""
