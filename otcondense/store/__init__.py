"""Schemas, fingerprints and atomic writes, shared by all stages."""

from otcondense.store.confidences import (
    CONFIDENCES_SCHEMA_VERSION,
    ClassConfidences,
    with_confidences,
    write_class_confidences,
)
from otcondense.store.difficulties import (
    DIFFICULTIES_SCHEMA_VERSION,
    ClassDifficulties,
    read_class_difficulties,
    write_class_difficulties,
)
from otcondense.store.features import (
    FEATURES_SCHEMA_VERSION,
    ClassFeatures,
    class_file,
    read_class_features,
    write_class_features,
)
from otcondense.store.files import Store, canonical_json
from otcondense.store.fingerprint import fingerprint, hash8, sha256_bytes
from otcondense.store.lock import DriverLock
from otcondense.store.progress import (
    StageProgress,
    UnitProgress,
    UnitState,
    progress_file,
    read_all_progress,
    read_progress,
    write_progress,
)
from otcondense.store.representations import Representation
from otcondense.store.selection import (
    MANIFEST_COLUMNS,
    SELECTION_SCHEMA_VERSION,
    ClassSelection,
    manifest_table,
    read_class_selection,
    read_manifest,
    selection_file,
    stored_summary,
    write_class_selection,
)
from otcondense.store.selection_summary import SelectionSummary, selection_measures
from otcondense.store.tables import (
    array_column,
    array_field,
    read_array,
    read_columns,
    read_fingerprint,
    read_table,
    read_unchanged,
    stored_metadata,
    table_metadata,
    write_table,
)

__all__ = [
    "CONFIDENCES_SCHEMA_VERSION",
    "DIFFICULTIES_SCHEMA_VERSION",
    "FEATURES_SCHEMA_VERSION",
    "MANIFEST_COLUMNS",
    "SELECTION_SCHEMA_VERSION",
    "ClassConfidences",
    "ClassDifficulties",
    "ClassFeatures",
    "ClassSelection",
    "DriverLock",
    "Representation",
    "SelectionSummary",
    "StageProgress",
    "Store",
    "UnitProgress",
    "UnitState",
    "array_column",
    "array_field",
    "canonical_json",
    "class_file",
    "fingerprint",
    "hash8",
    "manifest_table",
    "progress_file",
    "read_all_progress",
    "read_array",
    "read_class_difficulties",
    "read_class_features",
    "read_class_selection",
    "read_columns",
    "read_fingerprint",
    "read_manifest",
    "read_progress",
    "read_table",
    "read_unchanged",
    "selection_file",
    "selection_measures",
    "sha256_bytes",
    "stored_metadata",
    "stored_summary",
    "table_metadata",
    "with_confidences",
    "write_class_confidences",
    "write_class_difficulties",
    "write_class_features",
    "write_class_selection",
    "write_progress",
    "write_table",
]
