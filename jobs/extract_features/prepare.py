"""Write the images of the demo and train its encoders, unless they are already there."""

from jobs.command.progress import Progress, note
from jobs.command.wording import EARLIER
from jobs.run_directory.bars import encoder_bar
from jobs.run_directory.listing import write_source_listing
from jobs.run_directory.run import Run
from jobs.run_directory.source import write_source
from otcondense.encoders import train_encoder


def prepare(run: Run) -> None:
    """Write the images and train the encoders that the configuration asks for."""
    config = run.config
    write_source(run)
    if config.digits is not None:
        note("images", f"{config.digits} (scikit-learn's handwritten digits)")
    if config.glyphs is not None:
        note("images", f"{config.glyphs} (letters in matplotlib's fonts)")
    if config.fashion is not None:
        note("images", f"{config.fashion.path} (photographs of Fashion-MNIST)")
    listing = write_source_listing(run)
    for encoder in config.networks:
        if encoder.train is not None:
            with Progress(run.store, *encoder_bar(encoder)) as progress:
                trained = train_encoder(listing, encoder, progress.show)
                progress.show(encoder.train.epochs, encoder.train.epochs)
            result = f"accuracy on its training images {trained.accuracy:.3f}"
            if trained.skipped:
                result = EARLIER
            note(f"train encoder {encoder.name}", f"{trained.weights}, {result}")
