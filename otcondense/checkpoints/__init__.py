"""Conversion between our checkpoints and public DiT/SiT files or diffusers' pipeline."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
