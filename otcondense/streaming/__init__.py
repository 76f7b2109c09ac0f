"""A subset of a stream: one pass, bounded memory, and what is proven about it."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
