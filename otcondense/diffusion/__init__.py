"""Diffusion transformers: the DiT/SiT backbone, objectives, training, checkpoints and samplers."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
