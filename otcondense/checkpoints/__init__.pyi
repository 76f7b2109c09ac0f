from .public import PublicModel as PublicModel
from .public import from_public as from_public
from .public import read_public as read_public
from .public import reverse_time as reverse_time
from .public import to_public as to_public

__all__ = [
    "PublicModel",
    "from_public",
    "read_public",
    "reverse_time",
    "to_public",
]
