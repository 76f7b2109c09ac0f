from .aside import put_back as put_back
from .aside import set_aside as set_aside
from .confidences import CONFIDENCES_SCHEMA_VERSION as CONFIDENCES_SCHEMA_VERSION
from .confidences import ClassConfidences as ClassConfidences
from .confidences import with_confidences as with_confidences
from .confidences import write_class_confidences as write_class_confidences
from .copy_summary import CopyExample as CopyExample
from .copy_summary import CopySummary as CopySummary
from .difficulties import DIFFICULTIES_SCHEMA_VERSION as DIFFICULTIES_SCHEMA_VERSION
from .difficulties import ClassDifficulties as ClassDifficulties
from .difficulties import read_class_difficulties as read_class_difficulties
from .difficulties import write_class_difficulties as write_class_difficulties
from .feature_view import FeaturePart as FeaturePart
from .feature_view import FeatureView as FeatureView
from .features import FEATURES_SCHEMA_VERSION as FEATURES_SCHEMA_VERSION
from .features import ClassFeatures as ClassFeatures
from .features import PartOf as PartOf
from .features import class_file as class_file
from .features import class_files as class_files
from .features import read_class_features as read_class_features
from .features import read_part as read_part
from .features import write_class_features as write_class_features
from .files import Store as Store
from .grouped_manifest import TrueClasses as TrueClasses
from .grouped_manifest import grouped_manifest as grouped_manifest
from .groups import ALL_CLASSES as ALL_CLASSES
from .groups import GROUPS_SCHEMA_VERSION as GROUPS_SCHEMA_VERSION
from .groups import GroupTable as GroupTable
from .groups import groups_file as groups_file
from .groups import read_groups as read_groups
from .groups import write_groups as write_groups
from .hashing import fingerprint as fingerprint
from .hashing import hash8 as hash8
from .hashing import sha256_bytes as sha256_bytes
from .json_text import canonical_json as canonical_json
from .lock import DriverLock as DriverLock
from .lock import is_driven as is_driven
from .progress import PROGRESS_DIRECTORY as PROGRESS_DIRECTORY
from .progress import StageProgress as StageProgress
from .progress import UnitProgress as UnitProgress
from .progress import UnitState as UnitState
from .progress import progress_file as progress_file
from .progress import read_all_progress as read_all_progress
from .progress import read_progress as read_progress
from .progress import units_file as units_file
from .progress import write_progress as write_progress
from .progress import write_units as write_units
from .representations import Representation as Representation
from .selection import GROUP as GROUP
from .selection import MANIFEST_COLUMNS as MANIFEST_COLUMNS
from .selection import SELECTION_SCHEMA_VERSION as SELECTION_SCHEMA_VERSION
from .selection import ClassSelection as ClassSelection
from .selection import chosen_only as chosen_only
from .selection import manifest_table as manifest_table
from .selection import name_column as name_column
from .selection import read_class_selection as read_class_selection
from .selection import read_manifest as read_manifest
from .selection import selected_names as selected_names
from .selection import selection_file as selection_file
from .selection import stored_summary as stored_summary
from .selection import write_class_selection as write_class_selection
from .selection_summary import SelectionSummary as SelectionSummary
from .selection_summary import selection_measures as selection_measures
from .tables import array_column as array_column
from .tables import array_field as array_field
from .tables import read_array as read_array
from .tables import read_columns as read_columns
from .tables import read_fingerprint as read_fingerprint
from .tables import read_table as read_table
from .tables import read_unchanged as read_unchanged
from .tables import stored_metadata as stored_metadata
from .tables import table_metadata as table_metadata
from .tables import write_table as write_table

__all__ = [
    "ALL_CLASSES",
    "CONFIDENCES_SCHEMA_VERSION",
    "DIFFICULTIES_SCHEMA_VERSION",
    "FEATURES_SCHEMA_VERSION",
    "GROUP",
    "GROUPS_SCHEMA_VERSION",
    "MANIFEST_COLUMNS",
    "PROGRESS_DIRECTORY",
    "SELECTION_SCHEMA_VERSION",
    "ClassConfidences",
    "ClassDifficulties",
    "ClassFeatures",
    "ClassSelection",
    "CopyExample",
    "CopySummary",
    "DriverLock",
    "FeaturePart",
    "FeatureView",
    "GroupTable",
    "PartOf",
    "Representation",
    "SelectionSummary",
    "StageProgress",
    "Store",
    "TrueClasses",
    "UnitProgress",
    "UnitState",
    "array_column",
    "array_field",
    "canonical_json",
    "chosen_only",
    "class_file",
    "class_files",
    "fingerprint",
    "grouped_manifest",
    "groups_file",
    "hash8",
    "is_driven",
    "manifest_table",
    "name_column",
    "progress_file",
    "put_back",
    "read_all_progress",
    "read_array",
    "read_class_difficulties",
    "read_class_features",
    "read_class_selection",
    "read_columns",
    "read_fingerprint",
    "read_groups",
    "read_manifest",
    "read_part",
    "read_progress",
    "read_table",
    "read_unchanged",
    "selected_names",
    "selection_file",
    "selection_measures",
    "set_aside",
    "sha256_bytes",
    "stored_metadata",
    "stored_summary",
    "table_metadata",
    "units_file",
    "with_confidences",
    "write_class_confidences",
    "write_class_difficulties",
    "write_class_features",
    "write_class_selection",
    "write_groups",
    "write_progress",
    "write_table",
    "write_units",
]
