"""OTCondense: pick a small real subset of a labelled image set on which a diffusion transformer trains well."""

__version__ = "0.1.0"
