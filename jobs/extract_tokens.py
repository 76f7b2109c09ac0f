"""Extract the patch tokens of the images of all subsets, or of the whole source: `python -m jobs.extract_tokens`."""

from jobs.cli import main
from jobs.representations import extract_images
from jobs.run_directory import Run


def extract(run: Run) -> None:
    """Extract the patch tokens that the configuration asks for."""
    extract_images(run, "tokens", run.config.tokens)


if __name__ == "__main__":
    main("extract_tokens", __doc__, extract)
