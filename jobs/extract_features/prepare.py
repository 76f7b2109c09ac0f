"""Write what the demo starts from, images and encoders; does nothing where they are there."""

from jobs.command.progress import Progress, note
from jobs.run_directory.run import Run
from jobs.run_directory.stages import encoder_bar
from otcondense.datasets import list_images, write_digits, write_glyphs
from otcondense.encoders import train_encoder


def prepare(run: Run) -> None:
    """Write the digits and train the encoders that the configuration asks for."""
    config = run.config
    if config.digits is not None:
        write_digits(config.digits)
        note("images", f"{config.digits} (scikit-learn's handwritten digits)")
    if config.glyphs is not None:
        write_glyphs(config.glyphs)
        note("images", f"{config.glyphs} (letters in matplotlib's fonts)")
    records = list_images(config.source)
    for encoder in config.networks:
        if encoder.train is not None:
            with Progress(run.store, *encoder_bar(encoder)) as progress:
                trained = train_encoder(records, encoder, progress.show)
            when = (
                "finished before"
                if trained.skipped
                else f"accuracy on its training images {trained.accuracy:.3f}"
            )
            note(f"train encoder {encoder.name}", f"{trained.weights}, {when}")
