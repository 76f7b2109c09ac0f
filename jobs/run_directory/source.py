"""The source of a run, checked before a directory becomes the run's."""

from jobs.run_directory.budgets import check_budgets
from jobs.run_directory.listing import scan_source
from jobs.run_directory.run import Run
from otcondense.datasets import list_images, write_digits, write_fashion, write_glyphs
from otcondense.datasets.fashion import DIGESTS


def check_source(run: Run, *, is_start: bool) -> None:
    """Check that source, held-out images and budgets fit each other.

    Nothing is written to the run, but images that the configuration asks for are.

    Args:
        run: the run.
        is_start: whether features are extracted next: the source is then listed again.

    Raises: InputError naming what is missing or does not fit.
    """
    write_source(run)
    if is_start:
        scan_source(run)
    check_budgets(run)
    if run.config.held_out is not None:
        list_images(run.config.held_out)


def write_source(run: Run) -> None:
    """Write the images that the configuration asks for, unless they are there."""
    if run.config.digits is not None:
        write_digits(run.config.digits)
    if run.config.glyphs is not None:
        write_glyphs(run.config.glyphs)
    if run.config.fashion is not None:
        write_fashion(run.config.fashion, DIGESTS)
