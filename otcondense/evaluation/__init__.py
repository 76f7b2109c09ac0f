"""Metrics as pure functions of features, and measuring images through any encoder."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
