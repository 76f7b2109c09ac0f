"""A subset as the folder that diffusers' training scripts read: images and captions.

`datasets` reads it as `imagefolder`: the images below `train`, and what is known of each from
`train/metadata.jsonl`. `train_text_to_image` takes the first column for the image and the second
one for the caption, so `text` stands first. The folder of one class is what `train_dreambooth`
reads: it holds images and nothing else.
"""

import re
import string
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from otcondense.errors import InputError
from otcondense.exports.export import Export
from otcondense.exports.image_folder import folder_names, place_images
from otcondense.store.json_text import canonical_json

SPLIT = "train"
METADATA = "metadata.jsonl"
PROMPT = "a photo of {class_name}"
"""Caption by default, in the words of diffusers' own examples."""
CAPTION_PROMPT = "{caption}"
"""Caption by default, if the source has captions."""
PROMPT_FIELDS = ("class_name", "caption")
"""Gaps in a caption: the name of the class, and the caption of the image in the source."""
COLUMNS = ("class_index", "class_name", "rank", "weight")
"""Columns of the manifest that every image is told with, after its caption."""
LABEL = "label"
"""Name of the class index, which scripts for models of classes take."""
SPLIT_WORDS = frozenset(
    {"validation", "valid", "val", "dev", "test", "testing", "eval", "evaluation"}
)
"""Words in the name of a folder by which `datasets` takes its images for another split."""
SEPARATORS = re.compile("[-._ 0-9]+")
"""Characters between which `datasets` looks for these words."""
HIDDEN = (".", "__")
"""Beginnings of names that `datasets` leaves out in silence."""
REPLACED = ("$", "::")
"""Parts of names that `datasets` does not take as they are: variables, and addresses in others."""


def check_prompt(prompt: str, *, has_captions: bool) -> None:
    """Check a caption with gaps.

    Args:
        prompt: the caption.
        has_captions: whether the source has captions.

    Raises: InputError if it is empty, or has other gaps than `{class_name}` and, with captions,
        `{caption}`.
    """
    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(prompt) if name is not None]
    except ValueError:
        fields = [""]
    if "caption" in fields and not has_captions:
        raise InputError(
            f"--prompt with {CAPTION_PROMPT} needs a source with captions (source.captions), found "
            f"{prompt!r} and none"
        )
    if not prompt.strip() or set(fields) - set(PROMPT_FIELDS):
        raise InputError(
            "--prompt must be a caption, in which {class_name} stands for the name of the class "
            f"and {CAPTION_PROMPT} for the caption of the source, such as {PROMPT!r}, found "
            f"{prompt!r}"
        )


def write_diffusers(export: Export, target: Path) -> list[str]:
    """Write `train/CLASS/IMAGE` and `train/metadata.jsonl`, one line for each image.

    A line has `file_name` below `train`, `text`, `label` (class index), class, rank and weight.

    Returns: sentences on the images that were changed.

    Raises: InputError as `place_images`.
    """
    folder = target / SPLIT
    folder.mkdir(parents=True)
    names = folder_names(export)
    rows = export.manifest.select(COLUMNS).to_pylist()
    plain = [_plain_name(name, row) for name, row in zip(names, rows, strict=True)]
    placed = place_images(export, plain, folder)
    with (folder / METADATA).open("w", encoding="utf-8") as file:
        for name, row, text in zip(placed.names, rows, _texts(export), strict=True):
            label = row.pop("class_index")
            file.write(_line({"file_name": name, "text": text, LABEL: label, **row}))
    changed = sum(one != two for one, two in zip(names, plain, strict=True))
    said = [
        f"{changed} of {len(names)} images are in folders with a number for a name: by their own, "
        "`datasets` would put them into another split, leave them out or not find them"
    ]
    return (said if changed else []) + placed.sentences()


def _texts(export: Export) -> Iterator[str]:
    """Yield the text of each image."""
    names = export.manifest.column("class_name").to_pylist()
    captions = export.texts()
    prompt = export.prompt or (PROMPT if captions is None else CAPTION_PROMPT)
    for name, caption in zip(names, captions or names, strict=True):
        yield prompt.format(class_name=name, caption=caption)


def _line(row: dict[str, object]) -> str:
    # In this order: the caption must be the first column after the image.
    parts = [f"{canonical_json(name)}: {canonical_json(value)}" for name, value in row.items()]
    return f"{{{', '.join(parts)}}}\n"


def _plain_name(name: str, row: dict[str, object]) -> str:
    """Return a name that `datasets` reads as an image of this split; nearly always the same."""
    path = PurePosixPath(name)
    is_hidden = any(part.startswith(HIDDEN) for part in path.parts)
    words = {word for part in path.parts[:-1] for word in SEPARATORS.split(part)}
    is_read = not is_hidden and not any(part in name for part in REPLACED)
    if is_read and path.parts[0] != METADATA and not words & SPLIT_WORDS:
        return name
    return f"class-{row['class_index']:03}/{row['rank']:06}{path.suffix}"
