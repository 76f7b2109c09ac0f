"""Extract VAE latents of the configured images: `otcondense extract_latents`."""

from jobs.representations.extract import extract_images
from jobs.run_directory.run import Run


def extract(run: Run) -> None:
    """Extract the VAE latents of the configured images."""
    extract_images(run, "latents", run.config.latents)
