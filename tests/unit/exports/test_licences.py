"""The licences that the Hub knows, and what to cite."""

import re
from pathlib import Path

import yaml

from otcondense.exports.card import citations
from otcondense.exports.card.licences import LICENCES, Licence


def test_every_licence_of_the_hub_is_taken():
    for name in LICENCES:
        licence = Licence(name, *(("My licence", "LICENSE") if name == "other" else ()))
        if name.startswith("cc-"):
            assert licence.address.startswith("https://creativecommons.org/licenses/by")
        else:
            assert licence.address is None or name in ("cc0-1.0", "other")


def test_the_citations_are_those_of_the_repository():
    cited = yaml.safe_load(Path("CITATION.cff").read_text())
    (paper,) = cited["references"]
    plain = re.sub(r"[{}]", "", citations.entries("geometry_aware"))
    for wanted in (paper["title"], paper["url"], cited["title"], cited["version"]):
        assert wanted in plain
    assert paper["title"] not in citations.entries("random")
