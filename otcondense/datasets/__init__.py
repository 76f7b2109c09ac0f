"""Labelled images: sources, decoding, the digits of the demo and rendered glyphs.

Names are imported when they are first used: reading a configuration needs no image library.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
