"""Suffixes of images: of the formats that are decoded, and of those that are not."""

IMAGE_SUFFIXES = frozenset(
    {
        ".avif",
        ".bmp",
        ".gif",
        ".jfif",
        ".jpeg",
        ".jpg",
        ".pgm",
        ".png",
        ".ppm",
        ".tif",
        ".tiff",
        ".webp",
    }
)
"""Suffixes of the formats in `otcondense.datasets.decoding.FORMATS`."""
UNREAD_SUFFIXES = frozenset(
    {
        ".apng",
        ".arw",
        ".cr2",
        ".dib",
        ".dng",
        ".eps",
        ".exr",
        ".hdr",
        ".heic",
        ".heif",
        ".ico",
        ".j2k",
        ".jp2",
        ".jpe",
        ".jpx",
        ".jxl",
        ".nef",
        ".pbm",
        ".pnm",
        ".psd",
        ".svg",
        ".tga",
    }
)
"""Suffixes of other images. They are listed as unusable: an image must not vanish from a class."""


def unread_suffix(suffix: str) -> str:
    """Return the reason why an image of another suffix is not used."""
    return (
        f"images with the suffix {suffix} are not read, only {' '.join(sorted(IMAGE_SUFFIXES))}; "
        "convert or rename it"
    )
