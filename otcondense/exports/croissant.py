"""Croissant 1.0: a description of a data set that search engines and loaders read.

Its format: https://docs.mlcommons.org/croissant/docs/croissant-spec.html
"""

import hashlib
import json
from pathlib import Path

import pyarrow as pa

from otcondense.exports.card.card import DATA_FILES
from otcondense.exports.card.citations import entries
from otcondense.exports.card.facts import About
from otcondense.exports.card.markdown import plain
from otcondense.exports.card.sections import MEANINGS, Files
from otcondense.exports.hub_metadata import IMAGE_COLUMN, LABEL_COLUMN, Json

CROISSANT_FILE = "croissant.json"
CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
PARQUET = "application/x-parquet"
FILE_SET = "parquet-files"
ROWS = "rows"
"""Id of the record set of the images."""
CLASSES = "classes"
"""Id of the record set of the class names."""
VERSION_DIGITS = 12
"""Digits of the manifest's digest in the version: another choice is another version."""
_OWN_TERMS = (
    "citeAs column equivalentProperty extract field fileProperty fileObject fileSet format "
    "includes isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated "
    "replace samplingRate separator source subField transform"
)
CONTEXT: Json = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    **{name: f"cr:{name}" for name in _OWN_TERMS.split()},
}
"""The names of the format; the specification asks for them in every file."""


def croissant_text(about: About, files: Files, class_names: list[str], folder: Path) -> str:
    """Return the metadata of a data set in a folder.

    There is a record for each image, and one for each class. The digests are those of the files.

    Args:
        about: what is known of the subset.
        files: what lies in the files.
        class_names: of all classes of the source by index.
        folder: holds the files.
    """
    values = _description(about, files)
    values["distribution"] = [*_file_objects(folder), _file_set()]
    values["recordSet"] = [_rows(files.schema), _classes(class_names)]
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def _description(about: About, files: Files) -> Json:
    name = about.origin.name
    method = None if about.choice is None else about.choice.method
    what = "a data set" if name is None else plain(name)
    values: Json = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": "condensed-subset" if name is None else f"condensed-subset-of-{_word(name)}",
        "description": (
            f"{files.num_images} images of {files.num_classes} classes of {what}, chosen by "
            "OTCondense."
        ),
        "citeAs": entries(method),
        "creator": {"@type": "sc:Organization", "name": "The OTCondense developers"},
        "isLiveDataset": False,
    }
    if about.choice is not None:
        values["version"] = f"1.0.0+{about.choice.manifest_sha256[:VERSION_DIGITS]}"
    if about.licence is not None:
        values["license"] = about.licence.address or about.licence.title
    if about.repository is not None:
        values["url"] = f"https://huggingface.co/datasets/{about.repository}"
    if about.origin.url is not None:
        values["isBasedOn"] = about.origin.url
    return values


def _word(text: str) -> str:
    """Return a text as one word of letters, digits and hyphens."""
    letters = [each.lower() if each.isascii() and each.isalnum() else " " for each in plain(text)]
    return "-".join("".join(letters).split()) or "source"


def _file_objects(folder: Path) -> list[Json]:
    found: list[Json] = []
    for path in sorted(folder.glob(DATA_FILES)):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found.append(
            {
                "@type": "cr:FileObject",
                "@id": path.name,
                "name": path.name,
                "contentUrl": path.relative_to(folder).as_posix(),
                "contentSize": f"{path.stat().st_size} B",
                "encodingFormat": PARQUET,
                "sha256": digest,
            }
        )
    return found


def _file_set() -> Json:
    return {
        "@type": "cr:FileSet",
        "@id": FILE_SET,
        "name": FILE_SET,
        "description": "All files with rows, to be read together.",
        "encodingFormat": PARQUET,
        "includes": DATA_FILES,
    }


def _rows(schema: pa.Schema) -> Json:
    return {
        "@type": "cr:RecordSet",
        "@id": ROWS,
        "name": ROWS,
        "description": "The chosen images, in the order of the manifest.",
        "key": {"@id": f"{ROWS}/image_id"},
        "field": [_field(field) for field in schema],
    }


def _field(field: pa.Field) -> Json:
    source: Json = {"fileSet": {"@id": FILE_SET}, "extract": {"column": field.name}}
    made: Json = {
        "@type": "cr:Field",
        "@id": f"{ROWS}/{field.name}",
        "name": field.name,
        "description": MEANINGS[field.name],
        "dataType": _data_type(field),
        "source": source,
    }
    if field.name == IMAGE_COLUMN:
        source["transform"] = {"jsonPath": "bytes"}
    if field.name == LABEL_COLUMN:
        made["references"] = {"field": {"@id": f"{CLASSES}/label"}}
    return made


def _data_type(field: pa.Field) -> str:
    if field.name == IMAGE_COLUMN:
        return "sc:ImageObject"
    if pa.types.is_integer(field.type):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(field.type) else "sc:Text"


def _classes(class_names: list[str]) -> Json:
    """Return the names of the classes by label; the records stand in the metadata themselves."""
    columns = {"label": "sc:Integer", "name": "sc:Text"}
    keys = [f"{CLASSES}/{column}" for column in columns]
    fields = [
        {"@type": "cr:Field", "@id": key, "name": column, "dataType": kind}
        for key, (column, kind) in zip(keys, columns.items(), strict=True)
    ]
    rows = [dict(zip(keys, row, strict=True)) for row in enumerate(class_names)]
    return {
        "@type": "cr:RecordSet",
        "@id": CLASSES,
        "name": CLASSES,
        "description": "The names of all classes of the source.",
        "key": {"@id": keys[0]},
        "field": fields,
        "data": rows,
    }
