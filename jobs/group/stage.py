"""Group the images of a run: `otcondense group`."""

from jobs.run_directory.run import Run


def group(run: Run) -> None:
    """Write the groups of the images, their features, and the table of all groups."""
    raise NotImplementedError(run.groups_directory())
