"""OTCondense: pick a small real subset of images on which a diffusion transformer trains well."""

__version__ = "0.1.0"
