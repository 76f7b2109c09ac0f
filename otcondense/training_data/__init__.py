"""Subsets for training loops of your own: a data set for PyTorch, and trainings without Ray."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
