"""The captions of the images that a run needs, and their embeddings."""

from jobs.cluster.start import start_ray
from jobs.command.progress import Progress, note
from jobs.command.wording import earlier_part
from jobs.representations.captions import caption_target
from jobs.run_directory.bars import CAPTIONS_BAR
from jobs.run_directory.run import Run
from otcondense.counts import counted
from pipeline.text_extraction import extract_captions


def extract_run_captions(run: Run) -> None:
    """Embed the captions of every image that the configuration asks for.

    Raises: InputError if features, subsets or captions are missing, or the model cannot be used.
    """
    target = caption_target(run)
    resources = run.config.representations
    if resources.uses_cluster:
        start_ray()
    with Progress(run.store, *CAPTIONS_BAR) as progress:
        result = extract_captions(
            target, run.config.text, resources, progress.show, run.config.cluster
        )
    classes = result.classes_done + result.classes_skipped
    note(
        "text",
        f"embeddings of {counted(result.num_images, 'caption')} of {counted(classes, 'class')} in "
        f"{target.directory}{earlier_part(result.classes_skipped, classes, 'class')}",
    )
