"""What became of every image as a FiftyOne data set on disk (`fiftyone.types.FiftyOneDataset`).

`metadata.json` declares the fields, `samples.json` has the images with their values, `data` the
images. FiftyOne itself is not needed to write it.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from otcondense.exports.choices import CHOSEN, LEFT_OUT, ChoicesExport
from otcondense.exports.image_folder import Placed, folder_names, place_images
from otcondense.store.json_text import canonical_json

VERSION = "1.0.0"
"""FiftyOne whose format this is; a newer one brings a data set up to its own when it opens it."""
DATA = "data"
CAPTION_FIELD = "text"
"""Field of the captions, if the source has some."""
Json = dict[str, object]
FIELDS = "fiftyone.core.fields."
CLASSIFICATION = "fiftyone.core.labels.Classification"
ID_DIGITS = 24
"""Hexadecimal digits of an id in MongoDB."""
TAGGED = (CHOSEN, LEFT_OUT)
"""Outcomes that get a tag and a saved view."""
OUTCOME_FIELDS = {
    "rank": "IntField",
    "gain": "FloatField",
    "weight": "FloatField",
    "represents": "IntField",
    "represented_by": "StringField",
    "left_out": "StringField",
}
"""Attributes of the label that a method gives to an image, see `ClassChoices.outcomes`."""


def write_fiftyone(choices: ChoicesExport, target: Path, say: Callable[[str], None]) -> int:
    """Write the data set.

    Each image has `image_id`, `ground_truth`, `cross_entropy`, `text` (its caption, if the source
    has captions), and for each method a classification that says what became of it; tags and saved
    views hold those that a method chose or left out.

    Raises: InputError if selections are missing, or as `place_images`.
    """
    (target / DATA).mkdir(parents=True)
    placed = Placed()
    views: dict[str, Json] = {}
    count = 0
    with (target / "samples.json").open("w", encoding="utf-8") as file:
        file.write('{"samples":[')
        for found in choices.read():
            export = found.as_export(choices)
            of_class = place_images(export, folder_names(export), target / DATA)
            outcomes = {method: found.outcomes(method) for method in found.selections}
            for sample in _samples(found.rows(), of_class.names, outcomes):
                file.write(f"{',' if count else ''}\n{canonical_json(sample)}")
                count += 1
            views |= dict(_views(outcomes))
            placed.encoded.extend(of_class.encoded)
            placed.renamed.extend(of_class.renamed)
        file.write("\n]}\n")
    methods = list(choices.selections)
    with_captions = choices.source.captions is not None
    text = canonical_json(_metadata(methods, views, with_captions=with_captions), indent=1)
    (target / "metadata.json").write_text(f"{text}\n", encoding="utf-8")
    for sentence in placed.sentences():
        say(sentence)
    return count


def _samples(table: pa.Table, names: list[str], outcomes: Mapping[str, pa.Table]) -> Iterator[Json]:
    """Yield the images of a class.

    Args:
        table: `ClassChoices.rows`.
        names: of their files below `data`.
        outcomes: `ClassChoices.outcomes` by method.
    """
    columns = [outcomes[method].to_pylist() for method in outcomes]
    for row, name, *made in zip(table.to_pylist(), names, *columns, strict=True):
        key = f"{row['class_name']}\n{row['image_id']}"
        digest = _digest(key)
        sample: Json = {
            "_id": {"$oid": digest[:ID_DIGITS]},
            "_media_type": "image",
            "_rand": int(digest[:12], 16) / 16**12,
            "filepath": f"{DATA}/{name}",
            "tags": list(_tags(dict(zip(outcomes, made, strict=True)))),
            "image_id": row["image_id"],
            "cross_entropy": row["cross_entropy"],
            "ground_truth": _label(key, "ground_truth", row["class_name"]),
        }
        if CAPTION_FIELD in row:
            sample[CAPTION_FIELD] = row[CAPTION_FIELD]
        for method, outcome in zip(outcomes, made, strict=True):
            label = outcome.pop("outcome")
            sample[_field_name(method)] = _label(key, method, label) | outcome
        yield sample


def _tags(made: Mapping[str, Json]) -> Iterator[str]:
    for method, outcome in made.items():
        if outcome["outcome"] in TAGGED:
            yield _tag(method, outcome["outcome"])


def _tag(method: str, outcome: object) -> str:
    """Return the name of a tag and of a saved view."""
    return f"{outcome} by {method}"


def _label(key: str, field: str, label: str) -> Json:
    oid = _digest(f"{key}\n{field}")[:ID_DIGITS]
    return {"_id": {"$oid": oid}, "_cls": "Classification", "tags": [], "label": label}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _field_name(method: str) -> str:
    """Return the name of a method as that of a field; nested budgets have a hyphen."""
    return method.replace("-", "_")


def _metadata(methods: list[str], views: Mapping[str, Json], *, with_captions: bool) -> Json:
    own = [
        _field("image_id", "StringField"),
        _field("cross_entropy", "FloatField"),
        _label_field("ground_truth", {}),
    ]
    if with_captions:
        own.append(_field(CAPTION_FIELD, "StringField"))
    return {
        "version": VERSION,
        "media_type": "image",
        "sample_fields": [
            _field("id", "ObjectIdField", db_field="_id"),
            _field("filepath", "StringField"),
            _field("tags", "ListField", subfield="StringField"),
            _embedded("metadata", "fiftyone.core.metadata.ImageMetadata", []),
            _field("created_at", "DateTimeField", read_only=True),
            _field("last_modified_at", "DateTimeField", read_only=True),
            *own,
            *(_label_field(_field_name(method), OUTCOME_FIELDS) for method in methods),
        ],
        "saved_views": [views[name] for name in sorted(views)],
    }


def _field(
    name: str,
    kind: str,
    *,
    subfield: str | None = None,
    db_field: str | None = None,
    read_only: bool = False,
) -> Json:
    return {
        "name": name,
        "ftype": f"{FIELDS}{kind}",
        "subfield": None if subfield is None else f"{FIELDS}{subfield}",
        "db_field": db_field or name,
        "embedded_doc_type": None,
        "fields": [],
        "description": None,
        "info": None,
        "read_only": read_only,
    }


def _embedded(name: str, document: str, fields: list[Json]) -> Json:
    made = _field(name, "EmbeddedDocumentField")
    return made | {"embedded_doc_type": document, "fields": fields}


def _label_field(name: str, attributes: dict[str, str]) -> Json:
    fields = [
        _field("id", "ObjectIdField", db_field="_id"),
        _field("tags", "ListField", subfield="StringField"),
        _field("label", "StringField"),
        _field("confidence", "FloatField"),
        _field("logits", "VectorField"),
        *(_field(attribute, kind) for attribute, kind in attributes.items()),
    ]
    return _embedded(name, CLASSIFICATION, fields)


def _views(outcomes: Mapping[str, pa.Table]) -> Iterator[tuple[str, Json]]:
    """Yield the names of the views that some image of a class is in, and the views."""
    for method, table in outcomes.items():
        for outcome in table.column("outcome").unique().to_pylist():
            if outcome in TAGGED:
                yield _tag(method, outcome), _view(method, outcome)


def _view(method: str, outcome: str) -> Json:
    """Return a saved view of the images that a method chose (by rank) or left out."""
    field = _field_name(method)
    filtered = {"$expr": {"$eq": [f"${field}.label", outcome]}}
    stages = [_stage("Match", [["filter", filtered]])]
    if outcome == CHOSEN:
        path = f"{field}.rank"
        sorting: list[list[object]] = [
            ["field_or_expr", path],
            ["reverse", False],
            ["create_index", False],
        ]
        stages.append(_stage("SortBy", sorting))
    name = _tag(method, outcome)
    slug = name.replace(" ", "-").replace("_", "-")
    oid = _digest(name)[:ID_DIGITS]
    return {"_id": {"$oid": oid}, "name": name, "slug": slug, "view_stages": stages}


def _stage(kind: str, arguments: list[list[object]]) -> str:
    return json.dumps({"_cls": f"fiftyone.core.stages.{kind}", "kwargs": arguments})
