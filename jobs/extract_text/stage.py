"""Extract the text embedding of every class name: `python -m jobs.extract_text`."""

from jobs.command.progress import note
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.representations import TextModel
from otcondense.representations.tables import write_text


def extract(run: Run) -> None:
    """Embed the names of all classes in this process; there are few.

    Classes without images are embedded too.
    """
    classes = dict(enumerate(run_listing(run).classes))
    model = TextModel(run.config.text)
    is_new = write_text(run.store, run.text_file(), classes, run.config.text, model)
    finished = "" if is_new else ", already finished"
    note("text", f"embeddings of {len(classes)} class names in {run.text_file()}{finished}")
