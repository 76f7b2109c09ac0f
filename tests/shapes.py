"""Checks array shapes and types while tests run: annotations such as `Float[Tensor, "n d"]`.

A check costs some 20 microseconds a call, which more than doubles the time of the solver's inner
loops. These are not checked, unless `OTCONDENSE_SHAPES` is `some` (as in CI: the first calls of
each test and a share of the further ones) or `all` (as in `make test-all`).
"""

import os
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import FunctionType

from beartype import beartype
from jaxtyping import install_import_hook

SCIENCE = Path(__file__).parents[1] / "otcondense"
INNER_LOOPS = ("otcondense.ot.", "otcondense.selection.engine.")
FIRST = 3
"""Checked calls of a function in each test: the cases differ between tests more than in one."""
EVERY = 50
"""Of the further calls, one in this many is checked, so that checks take a few percent."""


_SEEN: set[str] = set()
"""Modules whose functions are checked at some calls only."""


class IsSkipped:
    """True if the present call of a function is not checked; asked once a call."""

    test = 0
    """Number of the test that runs."""

    def __init__(self) -> None:
        self._test = -1
        self._calls = 0

    def __bool__(self) -> bool:
        if self._test != IsSkipped.test:
            self._test = IsSkipped.test
            self._calls = 0
        self._calls += 1
        return self._calls > FIRST and self._calls % EVERY != 0


def check_shapes() -> None:
    """Check the functions of `otcondense`; call it before anything of it is imported."""
    asked = os.environ.get("OTCONDENSE_SHAPES")
    if asked == "all":
        install_import_hook("otcondense", "beartype.beartype")
    elif asked == "some":
        install_import_hook("otcondense", "tests.shapes.checked_if_outermost")
    else:
        install_import_hook(_outer_modules(), "beartype.beartype")


def checked_if_outermost(function: FunctionType) -> FunctionType:
    """Check a function with beartype, unless it is made within another one.

    Such a function would be prepared at each call of the other, which takes 1 ms.
    """
    return function if "<locals>" in function.__qualname__ else beartype(function)


def check_some_calls() -> None:
    """Check only some calls of the inner loops, if asked for `some`; call it before each test.

    What is imported in the middle of a test is checked at each call until the next one.
    """
    IsSkipped.test += 1
    if os.environ.get("OTCONDENSE_SHAPES") != "some":
        return
    for name in sorted(name for name in sys.modules if name.startswith(INNER_LOOPS)):
        if name not in _SEEN:
            _SEEN.add(name)
            for function in _checked_functions(sys.modules[name]):
                # jaxtyping asks for this attribute of the function at each call.
                function.__no_type_check__ = IsSkipped()  # type: ignore[attr-defined]


def _checked_functions(module: object) -> Iterator[FunctionType]:
    """Yield the functions and methods of a module that jaxtyping wraps."""
    values = list(vars(module).values())
    for value in list(values):
        if isinstance(value, type):
            values.extend(vars(value).values())
    for value in values:
        inner = getattr(_function_of(value), "__wrapped__", None)
        if isinstance(inner, FunctionType) and inner.__module__.startswith(INNER_LOOPS):
            yield inner


def _function_of(value: object) -> object:
    """Return the function of a method or property, or the value itself."""
    if isinstance(value, staticmethod | classmethod):
        return value.__func__
    if isinstance(value, property):
        return value.fget
    return value.func if isinstance(value, cached_property) else value


def _outer_modules() -> list[str]:
    names = []
    for path in sorted(SCIENCE.rglob("*.py")):
        name = ".".join(path.relative_to(SCIENCE.parent).with_suffix("").parts)
        # The hook takes the name of a package for all modules in it.
        if path.name != "__init__.py" and not name.startswith(INNER_LOOPS):
            names.append(name)
    return names
