"""The options that say what a run cannot know: the licence of the images, and their source."""

import argparse

from otcondense.exports.card.facts import Origin
from otcondense.exports.card.licences import Licence

OPTIONS = ("--license", "--license-name", "--license-link", "--source-name", "--source-url")
"""All of them."""


def add_card_options(parser: argparse.ArgumentParser, *, needs_licence: bool) -> None:
    """Add the options of a card.

    Args:
        parser: of a verb.
        needs_licence: whether the verb does nothing without a licence.
    """
    of = "" if needs_licence else "hf: "
    parser.add_argument(
        "--license",
        metavar="ID",
        required=needs_licence,
        help=f"{of}licence of the images: cc-by-4.0, mit, other",
    )
    parser.add_argument(
        "--license-name", metavar="NAME", help=f"{of}name of the licence, for --license other"
    )
    parser.add_argument(
        "--license-link",
        metavar="URL",
        help=f"{of}its text, for --license other",
    )
    parser.add_argument(
        "--source-name", metavar="NAME", help=f"{of}what the images are, such as Fashion-MNIST"
    )
    parser.add_argument("--source-url", metavar="URL", help=f"{of}page of the source")


def licence_of(options: argparse.Namespace) -> Licence | None:
    """Return the licence that was given; None without one.

    Raises: InputError for an id that the Hub does not know, or an incomplete licence.
    """
    if options.license is None and options.license_name is None and options.license_link is None:
        return None
    return Licence(options.license or "", options.license_name, options.license_link)


def origin_of(options: argparse.Namespace) -> Origin:
    """Return the source that was given.

    Raises: InputError for an address that is none.
    """
    return Origin(options.source_name, options.source_url)
