"""Extract the text embedding of every class name: `python -m jobs.extract_text`."""

from jobs.command.progress import note
from jobs.run_directory.run import Run
from otcondense.datasets import scan_images
from otcondense.representations import TextModel
from otcondense.representations.tables import write_text


def extract(run: Run) -> None:
    """Embed the names of all classes, those without images too, in this process; they are few."""
    classes = dict(enumerate(scan_images(run.config.source).classes))
    done = write_text(
        run.store, run.text_file(), classes, run.config.text, TextModel(run.config.text)
    )
    note(
        "text",
        f"embeddings of {len(classes)} class names in {run.text_file()}"
        + ("" if done else ", finished before"),
    )
