"""The captions of the images that a run needs, for `extract_text` and `verify`."""

from jobs.representations.chosen import chosen_images
from jobs.run_directory.captions import run_captions
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from pipeline.represent import chosen_listing
from pipeline.text_extraction import CaptionTarget


def caption_target(run: Run) -> CaptionTarget:
    """Return the images whose captions are embedded, their captions, and the directory.

    Raises: InputError if features, subsets or captions are missing.
    """
    listing = chosen_listing(run_listing(run), chosen_images(run, run.config.text.images))
    captions = run_captions(run, listing.table.column("image_id"))
    assert captions is not None, "text.of=captions needs source.captions"
    directory, no_caption = run.text_directory(), run.no_caption_file()
    return CaptionTarget(run.store, directory, no_caption, listing, captions)
