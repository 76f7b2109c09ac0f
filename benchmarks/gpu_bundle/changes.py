"""What is left out of two wheels, so that the bundle stays small."""

from dataclasses import dataclass, field

NO_BSP = '''"""This copy of POT has no BSP solver: its library is 30 of the 33 MB of the wheel."""


def _left_out(*_args, **_kwargs):
    raise NotImplementedError("the BSP solver was left out of this copy of POT")


compute_bspot_bijection = merge_bijections = _left_out
'''
"""In place of the package `ot.bsp`, which `import ot` imports; nothing here calls it."""


@dataclass(frozen=True)
class Change:
    """How a copy of a wheel differs from it."""

    unused: tuple[str, ...]
    """Beginnings of the names of the files that are left out."""
    added: dict[str, str] = field(default_factory=dict)
    """Text of files to add, by name."""

    def keeps(self, name: str) -> bool:
        """Tell whether the copy has this file of the wheel."""
        return not name.startswith(self.unused)

    def notice(self, wheel: str) -> str:
        """Return what the copy says about itself, as the Apache licence asks for changed files."""
        added = f" It adds {', '.join(self.added)}." if self.added else ""
        return (
            f"This is a copy of {wheel} without the files below {', '.join(self.unused)}.{added} "
            "All other files are unchanged; RECORD lists them.\n"
        )


CHANGES = {
    "ray": Change(("ray/jars/",)),
    "pot": Change(("ot/bsp/",), {"ot/bsp/__init__.py": NO_BSP}),
}
"""By the first part of the name of a wheel. Ray's Java archive has 32 of its 79 MB."""
