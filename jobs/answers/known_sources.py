"""The sources that a run can bring itself: their names are known, not their licences."""

from dataclasses import replace

from jobs.run_directory.config import RunConfig
from otcondense.datasets.kinds import SOURCES
from otcondense.exports.card.facts import Origin

DIGITS = Origin(
    "scikit-learn's handwritten digits",
    "https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
)
FASHION = Origin("Fashion-MNIST", "https://github.com/zalandoresearch/fashion-mnist")
GLYPHS = Origin("letters drawn in the fonts of Matplotlib")


def with_known(origin: Origin, config: RunConfig) -> Origin:
    """Return a source with its layout, and with what is known of it if nothing was given.

    Args:
        origin: as the user gave it.
        config: of the run.
    """
    kind = SOURCES[config.source.kind]
    known = Origin() if origin.name or origin.url else _known(config)
    return replace(
        origin,
        name=origin.name or known.name,
        url=origin.url or known.url,
        layout=kind.layout,
        images_are_files=kind.images_are_files,
    )


def _known(config: RunConfig) -> Origin:
    """Return the source that the run writes itself; its configuration chooses from no other."""
    written = ((config.digits, DIGITS), (config.fashion, FASHION), (config.glyphs, GLYPHS))
    found = [origin for setting, origin in written if setting is not None]
    return found[0] if found else Origin()
