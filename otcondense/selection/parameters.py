"""Parameters of an estimator, as scikit-learn reads and writes them."""

import functools
import inspect
from collections.abc import Callable
from typing import TypeVar

from otcondense.errors import InputError
from otcondense.near_names import did_you_mean

Estimator = TypeVar("Estimator", bound="Parameters")

NESTED = "__"
"""Stands between the name of a parameter that is a selector and the name of one of its own."""


def _suggesting(constructor: Callable[..., None]) -> Callable[..., None]:
    """Return a constructor with the same signature whose TypeError suggests a known name."""
    known = list(inspect.signature(constructor).parameters)[1:]

    @functools.wraps(constructor)
    def suggesting(self: object, *given: object, **named: object) -> None:
        unknown = [name for name in named if name not in known]
        if unknown:
            raise TypeError(
                f"{type(self).__name__} has no parameter {unknown[0]!r}"
                f"{did_you_mean(unknown[0], known)}"
            )
        constructor(self, *given, **named)

    return suggesting


class Parameters:
    """Reads the parameters from the signature of the constructor.

    The constructor stores every argument, unchanged, in the attribute of the same name. With that,
    `sklearn.base.clone` and pickling work, and scikit-learn itself is not needed.
    """

    def __init_subclass__(cls) -> None:
        """Let the constructor suggest a name for a mistyped one, as Python does from 3.13 on."""
        super().__init_subclass__()
        if "__init__" in cls.__dict__:
            cls.__init__ = _suggesting(cls.__init__)  # type: ignore[method-assign]

    @classmethod
    def _parameters(cls) -> dict[str, inspect.Parameter]:
        arguments = dict(inspect.signature(cls.__init__).parameters)
        del arguments["self"]
        return arguments

    def get_params(self, *, deep: bool = True) -> dict[str, object]:
        """Return all parameters by name.

        Parameters
        ----------
        deep : bool, default True
            Whether to return those of a parameter that is a selector too, as `selector__budget`.

        Returns
        -------
        dict of str to object
            The parameters, as they were given.
        """
        params: dict[str, object] = {name: getattr(self, name) for name in self._parameters()}
        for name, value in list(params.items()):
            if deep and isinstance(value, Parameters):
                for inner, each in value.get_params().items():
                    params[f"{name}{NESTED}{inner}"] = each
        return params

    def set_params(self: Estimator, **params: object) -> Estimator:
        """Change parameters by name.

        Parameters
        ----------
        **params : object
            New values; `selector__budget` is the budget of the parameter `selector`.

        Returns
        -------
        Selector or ClassSelector
            The object itself.

        Raises
        ------
        InputError
            For an unknown name, or a value out of range; nothing is then changed.
        """
        own = {name: value for name, value in params.items() if NESTED not in name}
        nested = self._nested(params, {**self.get_params(deep=False), **own})
        unknown = sorted(own.keys() - self._parameters().keys())
        if unknown:
            raise InputError(
                f"{type(self).__name__} must be given its own parameters "
                f"({', '.join(self._parameters())}), found {', '.join(unknown)}"
                f"{did_you_mean(unknown[0], self._parameters())}"
            )
        self._check({**self.get_params(deep=False), **own})
        for estimator, values in nested:
            estimator.set_params(**values)
        for name, value in own.items():
            setattr(self, name, value)
        return self

    def _nested(
        self, params: dict[str, object], current: dict[str, object]
    ) -> list[tuple["Parameters", dict[str, object]]]:
        """Return the selectors among the current parameters that get new values, and those.

        Raises: InputError for a name whose first part is no selector.
        """
        found: dict[str, dict[str, object]] = {}
        for name, value in params.items():
            outer, _, inner = name.partition(NESTED)
            if inner:
                found.setdefault(outer, {})[inner] = value
        wrong = [name for name in found if not isinstance(current.get(name), Parameters)]
        if wrong:
            raise InputError(
                f"{type(self).__name__} must have a selector as {wrong[0]} to set "
                f"{wrong[0]}{NESTED}{next(iter(found[wrong[0]]))}, found {current.get(wrong[0])!r}"
            )
        pairs = []
        for name, values in found.items():
            estimator = current[name]
            assert isinstance(estimator, Parameters)
            pairs.append((estimator, values))
        return pairs

    def _check(self, params: dict[str, object]) -> None:
        """Raise an InputError if the parameters cannot be used."""

    def _changed(self, params: dict[str, object]) -> dict[str, object]:
        """Return the parameters that differ from their defaults.

        Their representations are compared, since `==` on an array gives an array.
        """
        changed: dict[str, object] = {}
        for name, parameter in self._parameters().items():
            if repr(params[name]) != repr(parameter.default):
                changed[name] = params[name]
        return changed

    def __repr__(self) -> str:
        """Return the constructor call with the parameters that differ from their defaults."""
        changed = self._changed(self.get_params(deep=False))
        arguments = ", ".join(f"{name}={value!r}" for name, value in changed.items())
        return f"{type(self).__name__}({arguments})"
