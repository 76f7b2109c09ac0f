"""Extract the patch tokens of the images of all subsets, or of the whole source: `python -m jobs.extract_tokens`."""

from jobs.representations.extract import extract_images
from jobs.run_directory.run import Run


def extract(run: Run) -> None:
    """Extract the patch tokens that the configuration asks for."""
    extract_images(run, "tokens", run.config.tokens)
