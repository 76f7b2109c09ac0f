"""Extract patch tokens of the configured images: `otcondense extract_tokens`."""

from jobs.representations.extract import extract_images
from jobs.run_directory.run import Run


def extract(run: Run) -> None:
    """Extract the patch tokens of the configured images."""
    extract_images(run, "tokens", run.config.tokens)
