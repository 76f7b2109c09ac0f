"""Extract the VAE latents of the images of all subsets, or of the whole source: `python -m jobs.extract_latents`."""

from jobs.representations.extract import extract_images
from jobs.run_directory.run import Run


def extract(run: Run) -> None:
    """Extract the VAE latents that the configuration asks for."""
    extract_images(run, "latents", run.config.latents)
