"""Prompts to sample from: files of them, and the table of their embeddings; it needs no torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float16, Int

from otcondense.errors import InputError
from otcondense.near_names import did_you_mean
from otcondense.reading import check_text, parse_json, read_text
from otcondense.representations.captions import EMBEDDING
from otcondense.store import (
    Store,
    array_column,
    array_field,
    fingerprint,
    read_array,
    read_table,
    stored_metadata,
    write_table,
)

PROMPTS_SCHEMA_VERSION = 1
MOST_PROMPTS = 1_000_000
"""Prompts of a file: a text-to-image benchmark has some ten thousand."""
LONGEST_PROMPT = 10_000
"""Characters of a prompt; text encoders read a few hundred."""
WHAT = "sampling.prompts must be a text file with one prompt a line, or a .jsonl file"
KEYS = ("prompt", "class_name")
"""Keys of a line of JSON."""


@dataclass(frozen=True)
class Prompt:
    """A text to sample from."""

    text: str
    class_index: int
    """Class that the model gets with it."""


@dataclass(frozen=True, eq=False)
class PromptTable:
    """Prompts with their embeddings."""

    texts: Sequence[str]
    class_index: Int[np.ndarray, " n"]
    embeddings: Float16[np.ndarray, "n words e"]
    """0 at padding."""
    mark: str
    """Fingerprint of all prompts of the sampling (these are the first ones), and of the model that
    embedded them."""


def read_prompts(path: str, classes: Mapping[str, int]) -> list[Prompt]:
    """Return the prompts of a file.

    Args:
        path: text in UTF-8, one prompt a line; or .jsonl, one object a line with `prompt` and,
            if the model knows several classes, `class_name`.
        classes: index of each class that the model was trained on, by its name.

    Raises: InputError if the file is missing, empty or no text, a prompt is empty or too long,
        there are too many, or its class is missing or unknown.
    """
    lines = read_text(path, WHAT).removesuffix("\n").split("\n")
    if lines == [""]:
        raise InputError(f"{WHAT}, found nothing in {path}; write a prompt")
    if len(lines) > MOST_PROMPTS:
        raise InputError(
            f"{path} must have at most {MOST_PROMPTS:,} prompts, found {len(lines):,}; split it"
        )
    if path.lower().endswith((".jsonl", ".ndjson")):
        return list(_json_prompts(path, lines, classes))
    return list(_plain_prompts(path, lines, classes))


def _plain_prompts(path: str, lines: Sequence[str], classes: Mapping[str, int]) -> Iterator[Prompt]:
    if len(classes) > 1:
        raise InputError(
            f"a model of {len(classes)} classes needs the class of each prompt, found {path} "
            'without; write lines such as {"prompt": "…", "class_name": '
            f'"{next(iter(classes))}"}} into a .jsonl file'
        )
    (only,) = classes.values()
    for number, line in enumerate(lines, start=1):
        yield Prompt(_checked(line, f"line {number} of {path}"), only)


def _json_prompts(path: str, lines: Sequence[str], classes: Mapping[str, int]) -> Iterator[Prompt]:
    for number, line in enumerate(lines, start=1):
        place = f"line {number} of {path}"
        value = parse_json(line, place)
        if not isinstance(value, dict) or not isinstance(value.get("prompt"), str):
            raise InputError(
                f'{place} must be an object such as {{"prompt": "a red shoe"}}, found {line[:60]!r}'
            )
        unknown = [key for key in value if key not in KEYS]
        if unknown:
            raise InputError(
                f"{place} must have the keys {' and '.join(KEYS)} alone, found {unknown[0]!r}"
            )
        text = _checked(value["prompt"], place)
        yield Prompt(text, _class_of(value.get("class_name"), place, classes))


def _checked(text: str, place: str) -> str:
    """Return a prompt without the blanks around it."""
    check_text(text, place)
    if not text.strip():
        raise InputError(f"{place} must hold a prompt, found an empty one; remove it")
    if len(text) > LONGEST_PROMPT:
        raise InputError(
            f"{place} must have at most {LONGEST_PROMPT:,} characters, found {len(text):,}"
        )
    return text.strip()


def _class_of(name: object, place: str, classes: Mapping[str, int]) -> int:
    if name is None and len(classes) == 1:
        return next(iter(classes.values()))
    if not isinstance(name, str) or name not in classes:
        near = did_you_mean(name, classes) if isinstance(name, str) else ""
        raise InputError(
            f"{place} must have a class_name that the model was trained on, such as "
            f"{next(iter(classes))}, found {name!r}{near}"
        )
    return classes[name]


def prompts_mark(prompts: Sequence[Prompt], text: Mapping[str, object], sha256: str) -> str:
    """Return the fingerprint of prompts: of their texts and classes, and of the text model.

    Args:
        prompts: all prompts of a sampling.
        text: settings of the text model.
        sha256: of its weights.
    """
    contents = [[each.text, each.class_index] for each in prompts]
    return fingerprint([PROMPTS_SCHEMA_VERSION, dict(text), sha256, contents])


def has_prompts(store: Store, name: str, mark: str, count: int) -> bool:
    """Tell whether the first `count` prompts are stored, undamaged, and of the fingerprint."""
    metadata = stored_metadata(store, name)
    return metadata is not None and metadata["fingerprint"] == fingerprint([mark, count])


def write_prompts(store: Store, name: str, table: PromptTable) -> None:
    """Write prompts with their embeddings."""
    fields = [
        pa.field("prompt", pa.string()),
        pa.field("class_index", pa.int32()),
        array_field(EMBEDDING, table.embeddings),
    ]
    columns = [
        pa.array(table.texts, pa.string()),
        pa.array(table.class_index, pa.int32()),
        array_column(table.embeddings),
    ]
    write_table(
        store,
        name,
        pa.Table.from_arrays(columns, schema=pa.schema(fields)),
        fingerprint=fingerprint([table.mark, len(table.texts)]),
        schema_version=PROMPTS_SCHEMA_VERSION,
        prompts=table.mark,
    )


def read_prompt_table(store: Store, name: str) -> PromptTable:
    """Return stored prompts.

    Raises: InputError if the file is missing or damaged.
    """
    metadata = stored_metadata(store, name)
    if metadata is None:
        raise InputError(f"{store.path(name)} is missing or damaged; run `otcondense sample` again")
    table = read_table(store, name)
    return PromptTable(
        table.column("prompt").to_pylist(),
        table.column("class_index").to_numpy().astype(np.int64),
        read_array(table, EMBEDDING),
        str(metadata["prompts"]),
    )
