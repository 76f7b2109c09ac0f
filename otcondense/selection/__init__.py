"""Selectors of a subset of one class: the geometry-aware selector and the baselines.

All of them share one interface, `Selector`. `SELECTORS` holds them by name.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
