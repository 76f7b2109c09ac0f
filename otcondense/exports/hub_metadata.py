"""What the `datasets` library reads about the columns of a table: types, and names of classes.

It stands as JSON in the schema of a Parquet file, and as YAML in the card of a data set.
"""

import pyarrow as pa

from otcondense.store.json_text import canonical_json

Json = dict[str, object]
HUB_KEY = "huggingface"
"""Key in the metadata of a schema."""
DATA_TYPES = {"double": "float64", "float": "float32", "halffloat": "float16"}
"""Names that the `datasets` library has for types of Arrow with other names."""
IMAGE_COLUMN = "image"
LABEL_COLUMN = "label"
TEXT_COLUMN = "text"
"""Column of the captions: training scripts of the neighbours take this name by default."""


def described(schema: pa.Schema, names: list[str] | None) -> pa.Schema:
    """Return a schema that the `datasets` library reads with images and names of classes.

    Args:
        schema: of the table; a column `image` holds images, a column `label` class indices.
        names: class names by index; None if they are not known.
    """
    features = {field.name: _json_feature(field, names) for field in schema}
    return schema.with_metadata({HUB_KEY: canonical_json({"info": {"features": features}})})


def _json_feature(field: pa.Field, names: list[str] | None) -> Json:
    if field.name == IMAGE_COLUMN:
        return {"_type": "Image"}
    if field.name == LABEL_COLUMN and names is not None:
        return {"names": names, "_type": "ClassLabel"}
    if pa.types.is_fixed_size_list(field.type):
        # `Sequence` is the name that versions before and after 4 of the library know.
        value = {"dtype": _data_type(field.type.value_type), "_type": "Value"}
        return {"feature": value, "length": field.type.list_size, "_type": "Sequence"}
    return {"dtype": _data_type(field.type), "_type": "Value"}


def card_features(schema: pa.Schema, names: list[str]) -> list[Json]:
    """Return the columns of a table for the `dataset_info` of a card."""
    return [{"name": field.name, "dtype": _card_type(field, names)} for field in schema]


def _card_type(field: pa.Field, names: list[str]) -> str | Json:
    if field.name == IMAGE_COLUMN:
        return "image"
    if field.name == LABEL_COLUMN:
        return {"class_label": {"names": {str(n): name for n, name in enumerate(names)}}}
    return _data_type(field.type)


def _data_type(kind: pa.DataType) -> str:
    name = str(kind)
    return DATA_TYPES.get(name, name)
