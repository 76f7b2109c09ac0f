"""Image classifiers and feature extractors: one forward pass gives features and logits."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
