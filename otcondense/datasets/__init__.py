"""Where labelled images come from: sources, decoding, the digits of the demo and rendered glyphs."""

from otcondense.datasets.decoding import UnreadableImageError, center_crop, decode_image
from otcondense.datasets.digits import write_digits
from otcondense.datasets.feature_files import read_features
from otcondense.datasets.glyphs import GlyphConfig, write_glyphs
from otcondense.datasets.locations import is_local_file, read_image_bytes
from otcondense.datasets.records import (
    ImageRecord,
    Listing,
    SourceConfig,
    by_class,
    image_path,
    records_identity,
)
from otcondense.datasets.sources import SOURCES, image_locations, list_images, scan_images

__all__ = [
    "SOURCES",
    "GlyphConfig",
    "ImageRecord",
    "Listing",
    "SourceConfig",
    "UnreadableImageError",
    "by_class",
    "center_crop",
    "decode_image",
    "image_locations",
    "image_path",
    "is_local_file",
    "list_images",
    "read_features",
    "read_image_bytes",
    "records_identity",
    "scan_images",
    "write_digits",
    "write_glyphs",
]
