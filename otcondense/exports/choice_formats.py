"""The formats of what became of every image; a new one is a function and an entry."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from otcondense.errors import InputError
from otcondense.exports.choices import ChoicesExport
from otcondense.exports.embedding_atlas import check_embedding_atlas, write_embedding_atlas
from otcondense.exports.fiftyone import write_fiftyone
from otcondense.exports.outputs import new_output
from otcondense.store.local_files import write_whole

Say = Callable[[str], None]
"""Gets a sentence for the person who exports."""


@dataclass(frozen=True)
class ChoiceFormat:
    """One format."""

    write: Callable[[ChoicesExport, Path, Say], int]
    """Writes to a path that does not exist yet; returns the number of images."""
    needs_images: Callable[[ChoicesExport], bool]
    """Whether it cannot do without the images of the source."""
    check: Callable[[str], None] = lambda _: None
    """Checks the name of the output."""


CHOICE_EXPORTS = {
    "embedding_atlas": ChoiceFormat(
        write_embedding_atlas, lambda choices: choices.images is True, check_embedding_atlas
    ),
    "fiftyone": ChoiceFormat(write_fiftyone, lambda _: True),
}
"""Every format by its name."""


def export_choices(choices: ChoicesExport, form: str, output: str, say: Say) -> int:
    """Write what became of every image, whole or not at all, and return the number of images.

    One class is in memory at a time.

    Raises: InputError if the output exists or has another suffix than the format, or something
        that it needs is missing, damaged or changed.
    """
    known = CHOICE_EXPORTS[form]
    known.check(output)
    if known.needs_images(choices) and not choices.source.has_images:
        raise InputError(
            f"{choices.source.path} holds features and no images, so that its choices can be "
            f"written as embedding_atlas without --images, found {form}"
        )
    with write_whole(new_output(output)) as temporary:
        return known.write(choices, temporary, say)
