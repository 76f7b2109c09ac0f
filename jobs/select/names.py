"""Names that a command line gets wrong, answered with the nearest one."""

from otcondense.errors import InputError
from otcondense.near_names import did_you_mean
from otcondense.selection import SELECTORS


def check_method(name: str, option: str) -> None:
    """Refuse a method that there is not, or that needs what only a run has.

    Raises: InputError with the option and the nearest name, or all names.
    """
    usable = [each for each, selector in SELECTORS.items() if "difficulty" not in selector.needs]
    if name in usable:
        return
    if name in SELECTORS:
        raise InputError(
            f"{option} {name} needs difficulties, which only a run has: see `otcondense score`; "
            f"here there are {', '.join(usable)}"
        )
    there = did_you_mean(name, usable) or f"; there are {', '.join(usable)}"
    raise InputError(f"{option} must be the name of a method, found {name}{there}")
