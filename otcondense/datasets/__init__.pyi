from .decoding import UnreadableImageError as UnreadableImageError
from .decoding import center_crop as center_crop
from .decoding import decode_image as decode_image
from .digits import write_digits as write_digits
from .fashion import FashionConfig as FashionConfig
from .fashion import write_fashion as write_fashion
from .feature_files import read_features as read_features
from .glyphs import GlyphConfig as GlyphConfig
from .glyphs import write_glyphs as write_glyphs
from .kinds import SOURCES as SOURCES
from .kinds import Reader as Reader
from .kinds import Source as Source
from .listing import ListedFile as ListedFile
from .listing import Listing as Listing
from .listing import Records as Records
from .locations import is_local_file as is_local_file
from .locations import read_image_bytes as read_image_bytes
from .names import order_classes as order_classes
from .records import ImageRecord as ImageRecord
from .records import SourceConfig as SourceConfig
from .records import image_path as image_path
from .sources import image_locations as image_locations
from .sources import list_images as list_images
from .sources import scan_images as scan_images
from .stored import source_listing as source_listing
from .stored import write_listing as write_listing
from .stored_captions import captions_of as captions_of
from .stored_captions import read_captions as read_captions
from .stored_captions import write_captions as write_captions

__all__ = [
    "SOURCES",
    "FashionConfig",
    "GlyphConfig",
    "ImageRecord",
    "ListedFile",
    "Listing",
    "Reader",
    "Records",
    "Source",
    "SourceConfig",
    "UnreadableImageError",
    "captions_of",
    "center_crop",
    "decode_image",
    "image_locations",
    "image_path",
    "is_local_file",
    "list_images",
    "order_classes",
    "read_captions",
    "read_features",
    "read_image_bytes",
    "scan_images",
    "source_listing",
    "write_captions",
    "write_digits",
    "write_fashion",
    "write_glyphs",
    "write_listing",
]
