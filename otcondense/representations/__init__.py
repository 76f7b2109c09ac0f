"""Inputs of training in addition to pixels: VAE latents, patch tokens, text embeddings."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
