"""What can be exported in which format, and the options that each of them has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.command.card_options import OPTIONS as CARD_OPTIONS
from otcondense.errors import InputError
from otcondense.exports.choice_formats import CHOICE_EXPORTS
from otcondense.exports.features import FEATURE_EXPORTS
from otcondense.exports.subsets import EXPORTS


@dataclass(frozen=True)
class What:
    """One kind of content."""

    formats: Sequence[str]
    """Names of its formats."""
    default: str
    """The format by default."""


WHAT = {
    "subset": What(tuple(EXPORTS), "json"),
    "choices": What(tuple(CHOICE_EXPORTS), "embedding_atlas"),
    "features": What(tuple(FEATURE_EXPORTS), "parquet"),
}
"""Everything that can be exported, by the value of `--what`."""


@dataclass(frozen=True)
class _Place:
    """Where an option belongs."""

    what: str
    format: str | None = None
    """None for every format."""

    @property
    def options(self) -> str:
        """The options that lead there."""
        return f"--what {self.what}" + ("" if self.format is None else f" --format {self.format}")

    def holds(self, what: str, form: str) -> bool:
        """Tell whether an export is of this place."""
        return what == self.what and self.format in (None, form)


PLACES = {
    "--method": (_Place("subset"), _Place("choices")),
    "--class": (_Place("choices"),),
    "--files": (
        _Place("subset", "image_folder"),
        _Place("subset", "diffusers"),
        _Place("choices", "fiftyone"),
    ),
    "--images": (_Place("subset", "hf"), _Place("choices", "embedding_atlas")),
    "--encode": (_Place("subset", "webdataset"),),
    "--prompt": (_Place("subset", "diffusers"),),
    "--logits": (_Place("features"),),
    **dict.fromkeys((*CARD_OPTIONS, "--push", "--private"), (_Place("subset", "hf"),)),
}
"""Where each option belongs that is not for all exports."""


def every_format() -> list[str]:
    """Return the formats of all kinds of content, each once, sorted."""
    return sorted({name for known in WHAT.values() for name in known.formats})


def chosen_format(what: str, form: str | None) -> str:
    """Return the format of an export.

    Raises: InputError if the content has no such format.
    """
    known = WHAT[what]
    if form is not None and form not in known.formats:
        others = [name for name, other in WHAT.items() if form in other.formats]
        raise InputError(
            f"--format must be one of {', '.join(known.formats)} for --what {what}, found {form}; "
            f"it belongs to --what {' and '.join(others)}"
        )
    return form or known.default


def check_options(what: str, form: str, given: Mapping[str, object]) -> None:
    """Refuse options that would have no effect.

    Args:
        what: kind of content.
        form: its format.
        given: value of each option of `PLACES`, None if it was not given.

    Raises: InputError naming the option and the export that it belongs to.
    """
    for option, places in PLACES.items():
        value = given.get(option)
        if value is not None and not any(place.holds(what, form) for place in places):
            name = option.replace("--", "--no-") if value is False else option
            right = " or ".join(place.options for place in places)
            raise InputError(
                f"{name} is an option of {right}, found --what {what} --format {form}; leave it out"
            )
