"""The extraction of latents and tokens of the images that a run needs."""

from jobs.cluster.start import start_ray
from jobs.command.progress import Progress, note
from jobs.command.wording import earlier_part
from jobs.representations.chosen import chosen_images
from jobs.run_directory.bars import LATENTS_BAR, PIXELS_BAR, TOKENS_BAR, Bar
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.counts import counted
from otcondense.representations import RepresentationConfig
from pipeline.pixel_work import PixelWork
from pipeline.represent import ChosenWork, chosen_listing, extract_chosen, representation_work
from pipeline.work import Target

BARS = {"latents": LATENTS_BAR, "tokens": TOKENS_BAR}


def extract_images(run: Run, kind: str, config: RepresentationConfig) -> None:
    """Extract the latents or tokens of every image that the configuration asks for.

    Raises: InputError if features or subsets are missing, or an image cannot be used.
    """
    work = representation_work(kind, config, run.config.source.max_pixels)
    directory = run.representation_directory(kind, config)
    _extract(run, BARS[kind], config.images, directory, work)


def extract_pixels(run: Run) -> None:
    """Write the pixels of all images that have features, in the size of the run.

    Raises: InputError if features are missing, or an image cannot be used.
    """
    work = PixelWork(run.config.pixels.shape, run.config.source.max_pixels)
    _extract(run, PIXELS_BAR, "source", run.pixels_directory(), work)


def _extract(run: Run, bar: Bar, images: str, directory: str, work: ChosenWork) -> None:
    listing = chosen_listing(run_listing(run), chosen_images(run, images))
    target = Target(run.store, directory, listing, work)
    resources = run.config.representations
    if resources.uses_cluster:
        start_ray()
    with Progress(run.store, *bar) as progress:
        result = extract_chosen(target, work, resources, progress.show, run.config.cluster)
    classes = result.classes_done + result.classes_skipped
    note(
        bar.title,
        f"{counted(result.num_images, 'image')} of {counted(classes, 'class')} in {directory}"
        f"{earlier_part(result.classes_skipped, classes, 'class')}",
    )
