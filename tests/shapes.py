"""Checks array shapes and types while tests run: annotations such as `Float[Tensor, "n d"]`.

A check costs some 20 microseconds a call, which more than doubles the time of the solver's inner
loops. `OTCONDENSE_SHAPES=all` checks these too, as CI and `make test-all` do.
"""

import os
from pathlib import Path

from jaxtyping import install_import_hook

SCIENCE = Path(__file__).parents[1] / "otcondense"
INNER_LOOPS = ("otcondense.ot.", "otcondense.selection.engine.")


def check_shapes() -> None:
    """Check the functions of `otcondense`; call it before anything of it is imported."""
    if os.environ.get("OTCONDENSE_SHAPES") == "all":
        install_import_hook("otcondense", "beartype.beartype")
    else:
        install_import_hook(_outer_modules(), "beartype.beartype")


def _outer_modules() -> list[str]:
    names = []
    for path in sorted(SCIENCE.rglob("*.py")):
        name = ".".join(path.relative_to(SCIENCE.parent).with_suffix("").parts)
        # The hook takes the name of a package for all modules in it.
        if path.name != "__init__.py" and not name.startswith(INNER_LOOPS):
            names.append(name)
    return names
