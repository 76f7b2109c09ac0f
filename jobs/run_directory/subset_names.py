"""The subset that a user names with `--method`."""

from jobs.run_directory.run import Run
from otcondense.errors import InputError
from otcondense.near_names import did_you_mean

DEFAULT_METHOD = "geometry_aware"


def checked_subset(run: Run, method: str | None) -> str:
    """Return the name of the subset that was asked for, by default that of our own method.

    Raises: InputError if the run chooses no such subset.
    """
    subsets = run.config.selection.subsets
    name = method or DEFAULT_METHOD
    if name not in subsets:
        raise InputError(
            f"--method must be one of the run's subsets ({', '.join(subsets)}), found {name}"
            f"{did_you_mean(name, subsets)}"
        )
    return name
