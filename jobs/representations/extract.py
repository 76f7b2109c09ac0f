"""The extraction of latents and tokens of the images that a run needs."""

from jobs.cluster.start import start_ray
from jobs.command.progress import Progress, note
from jobs.representations.chosen import chosen_images
from jobs.run_directory.bars import LATENTS_BAR, TOKENS_BAR
from jobs.run_directory.run import Run
from otcondense.representations import RepresentationConfig
from pipeline.represent import chosen_listing, extract_representations, representation_work
from pipeline.work import Target

BARS = {"latents": LATENTS_BAR, "tokens": TOKENS_BAR}


def extract_images(run: Run, kind: str, config: RepresentationConfig) -> None:
    """Extract the latents or tokens of every image that the configuration asks for.

    Raises: InputError if features or subsets are missing, or an image cannot be used.
    """
    source = run.config.source
    listing = chosen_listing(source, chosen_images(run, config))
    work = representation_work(kind, config, source.max_pixels)
    target = Target(run.store, run.representation_directory(kind, config), listing, work)
    resources = run.config.representations
    if resources.num_encoders != 0:
        start_ray()
    with Progress(run.store, *BARS[kind]) as progress:
        result = extract_representations(target, resources, progress.show)
    classes = result.classes_done + result.classes_skipped
    note(
        kind,
        f"{result.num_images} images of {classes} classes in {target.directory}, "
        f"{result.classes_skipped} of them already finished",
    )
