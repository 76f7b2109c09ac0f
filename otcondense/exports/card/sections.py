"""The sections of a card in Markdown; what is not known is left out, and not made up."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

import pyarrow as pa

from otcondense.counts import counted
from otcondense.exports.card import citations
from otcondense.exports.card.facts import About, Choice
from otcondense.exports.card.markdown import escaped, facts, link, table
from otcondense.exports.card.tables import class_table, draw_table, metric_table

PLACE = "ORG/NAME"
"""Stands for the name on the Hub where it is not known yet."""
MEANINGS = {
    "image_id": "path relative to the root of the source, with `/`",
    "class_name": "name of the class",
    "class_index": "rank of the class name among all classes, from 0",
    "choice": "order of choice within the class, from 0",
    "rank": "order by `gain` within the class, the largest first, from 0",
    "weight": "`represented_mass` times the number of images chosen from {whole}",
    "represented_mass": "share of {whole} that the image represents, 0 to 1",
    "gain": "increase of the objective if the image is left out; null if unknown",
    "cross_entropy": "cross-entropy of the true class in nats; null without a classifier",
    "sha256": "SHA-256 of the source file",
    "group": "group of images near each other that it was chosen from",
    "image": "the image, as in the source",
    "label": "`class_index` with the names of the classes",
    "text": "the caption of the image, as in the source",
}
"""Columns, for the card; `{whole}` is the class of an image, or all images."""


@dataclass(frozen=True)
class Files:
    """What lies in the files of a data set."""

    schema: pa.Schema
    num_images: int
    num_classes: int

    @property
    def has_images(self) -> bool:
        """Whether the images themselves are there, not only their ids."""
        return "image" in self.schema.names

    @property
    def has_captions(self) -> bool:
        """Whether each image has its caption."""
        return "text" in self.schema.names


def body(about: About, files: Files) -> str:
    """Return the text of a card below its metadata."""
    parts = [f"# {title(about)}\n\n{_summary(about, files)}"]
    parts += [f"## {name}\n\n{text}" for name, text in _sections(about, files) if text]
    return "\n".join(parts)


def title(about: About) -> str:
    """Return the heading, as Markdown."""
    name = about.origin.name
    return "A condensed subset" if name is None else f"A condensed subset of {escaped(name)}"


def _sections(about: About, files: Files) -> Iterator[tuple[str, str]]:
    yield "Load it", _loading(about, files)
    yield (
        "Columns",
        table(
            ("column", "meaning"),
            [
                [f"`{name}`", MEANINGS[name].format(whole=about.whole)]
                for name in files.schema.names
            ],
        ),
    )
    yield "How the images were chosen", "" if about.choice is None else _choice(about.choice)
    yield "How good the choice is", _quality(about)
    yield "Metrics", "\n".join(_metrics(about))
    yield "Against random draws", "\n".join(_draws(about))
    yield "Limits", _limits(about, files)
    yield "Licence", _licence(about)
    yield "How to make it again", "" if about.choice is None else _reproduction(about.choice)
    method = None if about.choice is None else about.choice.method
    yield "Cite", f"```bibtex\n{citations.entries(method)}```\n"


def _summary(about: About, files: Files) -> str:
    chosen = f"{counted(files.num_images, 'image')} of {counted(files.num_classes, 'class')}"
    total = sum(each.num_images for each in about.classes)
    of_all = f", out of {counted(total, 'image')}" if total else ""
    kept = "The images are in it." if files.has_images else "It holds their ids, not the images."
    if files.has_captions:
        kept += " Each image has its caption, in the column `text`."
    return f"{chosen}, chosen by OTCondense{of_all}. {kept}\n\n{facts(_overview(about))}"


def _overview(about: About) -> dict[str, str]:
    origin = about.origin
    found = {"source": "not named" if origin.name is None else escaped(origin.name)}
    if origin.url is not None:
        found["source"] = link(origin.name or origin.url, origin.url)
    if origin.layout:
        found["kind of source"] = escaped(origin.layout)
    found["licence"] = "not named" if about.licence is None else _licence_link(about)
    if about.choice is not None:
        found["method"] = f"`{about.choice.method}`, budget of {escaped(about.choice.budget)}"
    return found


def _loading(about: About, files: Files) -> str:
    place = about.repository or PLACE
    text = (
        "```python\nfrom datasets import load_dataset\n\n"
        f'subset = load_dataset("{place}", split="train")\n'
        'names = subset.features["label"].names\n'
    )
    if files.has_images:
        return f'{text}image, name = subset[0]["image"], names[subset[0]["label"]]\n```\n'
    return (
        f'{text}wanted = dict(zip(subset["image_id"], subset["sha256"]))\n```\n\n{_joining(about)}'
    )


def _joining(about: About) -> str:
    """Return how the ids lead to the images."""
    if not about.origin.images_are_files:
        return (
            "To have the images, get the source. There they lie inside other files: `image_id` is "
            "the column of ids, or the file and the number of the row, from 0; `sha256` is that of "
            "the bytes of the image.\n"
        )
    return (
        "`image_id` is the path of each image below the root of its source. To have the images, "
        "get the source, and take the files with these paths:\n\n"
        "```python\nfrom hashlib import sha256\nfrom pathlib import Path\n\n"
        "for image_id, digest in wanted.items():\n"
        '    data = Path("SOURCE", image_id).read_bytes()\n'
        "    assert sha256(data).hexdigest() == digest, image_id\n```\n"
    )


def _choice(choice: Choice) -> str:
    found = {
        "method": f"`{choice.method}`: {escaped(choice.meaning)}",
        "budget": escaped(choice.budget),
        "looked at": escaped(choice.compared),
        **{escaped(name): escaped(value) for name, value in choice.others.items()},
    }
    rows = [[f"`{name}`", escaped(value)] for name, value in choice.settings.items()]
    settings = table(("setting", "value"), rows) if rows else "The method has no settings.\n"
    return f"{facts(found)}\n{settings}"


def _quality(about: About) -> str:
    if not any("objective" in each.measures for each in about.classes):
        return ""
    proven = sum(each.measures.get("swap_optimal", 0) > 0 for each in about.classes)
    optimal = (
        f"\nNo swap of a single image lowers the objective: proven for {proven} of "
        f"{counted(len(about.classes), about.unit)}.\n"
        if proven
        else ""
    )
    return (
        f"The objective is the cost of the chosen images (lower is better). In each {about.unit}, "
        "no subset of the same size is below the lower bound: the objective exceeds the best "
        f"possible one by at most the gap.{_about_groups(about)} `left out` is the share that no "
        f"chosen image represents.\n\n{class_table(about)}{optimal}"
    )


def _about_groups(about: About) -> str:
    """Return what the row of all groups says; nothing for classes."""
    if about.together is None:
        return ""
    return (
        " The last row has all groups together, each weighted with its number of images: no other "
        "choice of as many images from each group is below its bound."
    )


def _metrics(about: About) -> Iterator[str]:
    if about.measured:
        yield (
            "Figures compare with others by the same network on the same held-out images only: a "
            "FID by another network than Inception is not the FID of papers. ± is a standard "
            "error; ↑ higher is better, ↓ lower.\n"
        )
    for each in about.measured:
        held_out = counted(each.num_held_out, "held-out image")
        yield (
            f"**{escaped(each.what)}**, by the network {escaped(each.network)} on {held_out}:\n\n"
            f"{metric_table(each)}"
        )


def _draws(about: About) -> Iterator[str]:
    for each in about.compared:
        held_out = counted(each.num_held_out, "held-out image")
        yield (
            f"**{escaped(each.what)}**, by the network {escaped(each.network)} on {held_out}. "
            f"{each.origin_of_noise}.\n\n{draw_table(each)}"
        )
    if about.compared and about.remark:
        yield f"{escaped(about.remark)}\n"


def _limits(about: About, files: Files) -> str:
    return "".join(f"- {line}\n" for line in _limit_lines(about, files))


def _limit_lines(about: About, files: Files) -> Iterator[str]:
    if about.choice is not None and about.choice.encoder:
        yield (
            f"The images were compared by features of {escaped(about.choice.encoder)}: what these "
            "do not tell apart does not count."
        )
    left_out = _left_out(about)
    if left_out:
        yield (
            f"Unusual images are left out on purpose: no chosen image represents {left_out}. Do "
            "not measure rare cases with this subset."
        )
    yield (
        "A small subset has fewer kinds of images than its source. Biases of the source, and wrong "
        "labels, are still there: the choice takes labels as they are."
    )
    yield (
        "Nobody looked for people, private matters or offensive content in the images; ask the "
        "source."
    )
    if files.has_captions:
        yield "The captions are those of the source; nobody corrected them."
    if not about.measured:
        yield "No metric was measured when this card was written."
    elif not about.compared:
        yield "It was not compared with random draws when this card was written."
    if not files.has_images:
        yield "The images themselves are not passed on here; their licence is that of the source."


def _left_out(about: About) -> str:
    """Return which share of the images is left out, in words; empty for nothing."""
    if about.together is not None:
        share = about.together.get("left_out_share", 0.0)
        return f"{100 * share:.1f} % of the images" if share else ""
    shares = [each.measures.get("left_out_share", 0.0) for each in about.classes]
    return f"{100 * fmean(shares):.1f} % of the images of a class on average" if any(shares) else ""


def _licence(about: About) -> str:
    if about.licence is None:
        return (
            "Who exported this subset named no licence. Ask before you use or pass on the images.\n"
        )
    who = "as the publisher of this subset says; the source may ask for more, such as attribution"
    return f"{_licence_link(about)}, {who}.\n"


def _licence_link(about: About) -> str:
    assert about.licence is not None
    address = about.licence.address
    shown = about.licence.title
    return escaped(shown) if address is None else link(shown, address)


def _reproduction(choice: Choice) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in choice.versions.items())
    found = {
        "seed": str(choice.seed),
        "SHA-256 of the manifest": f"`{choice.manifest_sha256}`",
        "made with": escaped(versions),
    }
    return (
        "The same source, settings and seed give the same manifest: a list of the chosen images "
        f"with the SHA-256 of each.\n\n{facts(found)}"
    )
