"""The licence of a published subset: asked for, never guessed."""

from dataclasses import dataclass

from otcondense.errors import InputError
from otcondense.exports.card.markdown import is_address, plain
from otcondense.near_names import did_you_mean

OTHER = "other"
"""The id of a licence that the Hub does not know; it has a name and a link."""
_CREATIVE_COMMONS = (
    "cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 "
    "cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 "
    "cc-by-nc-sa-4.0"
)
_OF_DATA = (
    "c-uda cc cc0-1.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 etalab-2.0 gfdl "
    "odc-by odbl pddl"
)
_OF_SOFTWARE_AND_MODELS = (
    "afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0 bigcode-openrail-m "
    "bigscience-bloom-rail-1.0 bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause- "
    "clear bsl-1.0 creativeml-openrail-m deepfloyd-if-license ecl-2.0 epl-1.0 epl-2.0 eupl-1.1 "
    "eupl-1.2 fair-noncommercial-research-license gemma gpl gpl-2.0 gpl-3.0 grok2-community "
    "h-research intel-research isc lgpl lgpl-2.1 lgpl-3.0 lgpl-lr llama2 llama3 llama3.1 llama3.2 "
    "llama3.3 llama4 lppl-1.3c mit mpl-2.0 ms-pl ncsa ofl-1.1 openmdw-1.0 openmdw-1.1 openrail "
    "openrail++ osl-3.0 postgresql unlicense wtfpl zlib"
)
LICENCES = tuple(
    sorted(f"{_CREATIVE_COMMONS} {_OF_DATA} {_OF_SOFTWARE_AND_MODELS} unknown {OTHER}".split())
)
"""The ids that the Hub knows (huggingface.co/docs/hub/repositories-licenses)."""
CC0 = "https://creativecommons.org/publicdomain/zero/1.0/"


@dataclass(frozen=True)
class Licence:
    """A licence as the Hub knows it."""

    id: str
    """One of `LICENCES`."""
    name: str | None = None
    """Its name, for `other` only."""
    link: str | None = None
    """Its address, or a file of the data set, for `other` only."""

    def __post_init__(self) -> None:
        _check_id(self.id)
        wanted = 2 if self.id == OTHER else 0
        if (self.name is not None) + (self.link is not None) != wanted:
            raise InputError(
                "--license other needs --license-name and --license-link, and no other id takes "
                f"them, found --license {self.id} with {self._found()}"
            )
        if self.link is not None and not (is_address(self.link) or self.link == "LICENSE"):
            raise InputError(
                "--license-link must be an address such as https://example.org/licence, or LICENSE "
                f"for a file that you add, found {self.link!r}"
            )
        if self.name is not None and not plain(self.name):
            raise InputError("--license-name must be a name, found an empty one")

    def _found(self) -> str:
        given = {"--license-name": self.name, "--license-link": self.link}
        return " and ".join(key for key, value in given.items() if value is not None) or "neither"

    @property
    def title(self) -> str:
        """What a person calls it: its name, or its id."""
        return self.name or self.id

    @property
    def address(self) -> str | None:
        """Where its text is; None if the id alone does not say it."""
        if self.link is not None:
            return self.link
        if self.id == "cc0-1.0":
            return CC0
        if self.id not in _CREATIVE_COMMONS.split():
            return None
        kind, _, version = self.id.removeprefix("cc-").rpartition("-")
        return f"https://creativecommons.org/licenses/{kind}/{version}/"


def _check_id(name: str) -> None:
    if name in LICENCES:
        return
    hint = did_you_mean(name, LICENCES, count=3)
    raise InputError(
        "--license must be an id that the Hub knows, such as cc-by-4.0, mit, or other with "
        f"--license-name and --license-link, found {name!r}{hint}"
    )
