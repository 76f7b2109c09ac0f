"""What can be exported in which format, and the options that each of them has."""

from collections.abc import Mapping
from dataclasses import dataclass

from otcondense.errors import InputError
from otcondense.exports.features import FEATURE_EXPORTS
from otcondense.exports.subsets import EXPORTS


@dataclass(frozen=True)
class What:
    """One kind of content."""

    formats: Mapping[str, str]
    """Content of the output by the name of the format."""
    default: str
    """The format by default."""

    @property
    def meanings(self) -> str:
        """All formats with their content."""
        return "; ".join(f"{name} is {meaning}" for name, meaning in self.formats.items())


WHAT = {
    "subset": What({name: known.meaning for name, known in EXPORTS.items()}, "json"),
    "features": What({name: known.meaning for name, known in FEATURE_EXPORTS.items()}, "parquet"),
}
"""Everything that can be exported, by the value of `--what`."""


@dataclass(frozen=True)
class _Place:
    """Where an option belongs."""

    what: str
    format: str | None = None
    """None for every format."""


PLACES = {
    "--method": _Place("subset"),
    "--files": _Place("subset", "image_folder"),
    "--images": _Place("subset", "hf"),
    "--encode": _Place("subset", "webdataset"),
    "--logits": _Place("features"),
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
    for option, place in PLACES.items():
        value = given.get(option)
        is_right = what == place.what and place.format in (None, form)
        if value is not None and not is_right:
            name = option.replace("--", "--no-") if value is False else option
            end = "" if place.format is None else f" --format {place.format}"
            raise InputError(
                f"{name} is an option of --what {place.what}{end}, "
                f"found --what {what} --format {form}; leave it out"
            )
