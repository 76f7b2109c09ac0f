"""Extract the text embedding of every class name: `python -m jobs.extract_text`."""

from jobs.cli import main
from jobs.progress import note
from jobs.run_directory import Run, identity
from otcondense.datasets import scan_images
from otcondense.representations import REPRESENTATIONS_SCHEMA_VERSION, TextModel
from otcondense.store import hash8
from pipeline.representations import write_text


def text_file(run: Run) -> str:
    """Return the name of the text embeddings."""
    return f"text/{hash8([REPRESENTATIONS_SCHEMA_VERSION, identity(run.config.source), run.config.text.identity()])}/embeddings.parquet"


def extract(run: Run) -> None:
    """Embed the names of all classes, those without images too, in this process; they are few."""
    classes = dict(enumerate(scan_images(run.config.source).classes))
    done = write_text(run.store, text_file(run), classes, run.config.text, TextModel(run.config.text))
    note("text", f"embeddings of {len(classes)} class names in {text_file(run)}" + ("" if done else ", finished before"))


if __name__ == "__main__":
    main("extract_text", __doc__, extract)
