"""The card of a data set on the Hub: metadata in YAML, and a text in Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from otcondense.errors import InputError
from otcondense.exports.card import sections
from otcondense.exports.card.citations import OWN_METHOD, PAPER
from otcondense.exports.card.facts import About
from otcondense.exports.card.markdown import plain
from otcondense.exports.card.sections import Files
from otcondense.exports.hub_metadata import Json, card_features

if TYPE_CHECKING:
    from huggingface_hub import DatasetCard

SPLIT = "train"
DATA_FILES = f"data/{SPLIT}-*.parquet"
"""Pattern of the files with the rows."""
TAG = "otcondense"
"""Tag of every card that is written here: it tells our data sets on the Hub from others."""
TAGS = (TAG, "dataset-condensation", "coreset")
TASKS = ("unconditional-image-generation", "image-classification")
SIZE_CATEGORIES = {1000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}
LARGEST_CATEGORY = "1M<n<10M"
LINE_WIDTH = 10_000
"""Of the YAML of the card: no name is broken into two lines."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of the files of a data set."""

    num_bytes: int
    """In the memory of a reader."""
    file_bytes: int


def card_text(
    about: About, files: Files, class_names: list[str], sizes: Sizes | None = None
) -> str:
    """Return the card of a subset: the file `README.md` of a data set on the Hub.

    Args:
        about: what is known of the subset.
        files: what lies in its files.
        class_names: of all classes of the source by index.
        sizes: of its files; None if they are not written.

    Raises: InputError without the package huggingface_hub.
    """
    values = _metadata(about, files)
    values["configs"] = [
        {"config_name": "default", "data_files": [{"split": SPLIT, "path": DATA_FILES}]}
    ]
    values["dataset_info"] = _info(files, class_names, sizes)
    text = f"---\n{_yaml(values)}---\n\n{sections.body(about, files)}"
    read = hub_card(text).data.to_dict()  # type: ignore[no-untyped-call]
    assert read == values, "the Hub reads the metadata that was written"
    return text


class _Dumper(yaml.SafeDumper):
    """Writes every text in one line."""


def _one_line(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _one_line)


def _yaml(values: Json) -> str:
    """Return metadata in the safe dialect; no name of a class can end it or begin another key."""
    text: str = yaml.dump(
        values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=LINE_WIDTH
    )
    return text


def hub_card(text: str) -> DatasetCard:
    """Return a card as the library of the Hub reads it.

    Raises: InputError without the package huggingface_hub.
    """
    try:
        from huggingface_hub import DatasetCard
    except ImportError as error:
        raise InputError(
            "the card of a data set needs the package huggingface_hub; install it: "
            "pip install huggingface_hub"
        ) from error
    return DatasetCard(text)


def _metadata(about: About, files: Files) -> Json:
    """Return what the Hub shows and searches; keys as in `huggingface_hub.DatasetCardData`."""
    licence = about.licence
    values: Json = {}
    if licence is not None:
        values["license"] = licence.id
    if licence is not None and licence.name is not None and licence.link is not None:
        values |= {"license_name": plain(licence.name), "license_link": licence.link}
    is_own = about.choice is not None and about.choice.method == OWN_METHOD
    return {
        **values,
        "pretty_name": _pretty_name(about),
        "size_categories": [_size_category(files.num_images)],
        "task_categories": list(TASKS),
        "tags": [*TAGS, *([f"arxiv:{PAPER.rpartition('/')[2]}"] if is_own else [])],
    }


def _pretty_name(about: About) -> str:
    name = about.origin.name
    return "Condensed subset" if name is None else f"Condensed subset of {plain(name)}"


def _info(files: Files, class_names: list[str], sizes: Sizes | None) -> Json:
    split: Json = {"name": SPLIT, "num_examples": files.num_images}
    info: Json = {"features": card_features(files.schema, class_names), "splits": [split]}
    if sizes is not None:
        split["num_bytes"] = sizes.num_bytes
        info["download_size"] = sizes.file_bytes
        info["dataset_size"] = sizes.num_bytes
    return info


def _size_category(size: int) -> str:
    for limit, category in SIZE_CATEGORIES.items():
        if size < limit:
            return category
    return LARGEST_CATEGORY
