"""Parameters of an estimator, as scikit-learn reads and writes them."""

import inspect
from typing import TypeVar

from otcondense.errors import InputError

Estimator = TypeVar("Estimator", bound="Parameters")


class Parameters:
    """Reads the parameters from the signature of the constructor.

    The constructor stores every argument, unchanged, in the attribute of the same name. With that,
    `sklearn.base.clone` and pickling work, and scikit-learn itself is not needed.
    """

    @classmethod
    def _parameters(cls) -> dict[str, inspect.Parameter]:
        arguments = dict(inspect.signature(cls.__init__).parameters)
        del arguments["self"]
        return arguments

    def get_params(self, *, deep: bool = True) -> dict[str, object]:  # noqa: ARG002
        """Return all parameters by name.

        Args:
            deep: ignored: no parameter is an estimator. scikit-learn passes it.
        """
        return {name: getattr(self, name) for name in self._parameters()}

    def set_params(self: Estimator, **params: object) -> Estimator:
        """Change parameters by name.

        Raises: InputError for an unknown name, or a value out of range; nothing is then changed.
        """
        unknown = sorted(params.keys() - self._parameters().keys())
        if unknown:
            raise InputError(
                f"{type(self).__name__} must be given its own parameters "
                f"({', '.join(self._parameters())}), found {', '.join(unknown)}"
            )
        self._check({**self.get_params(), **params})
        for name, value in params.items():
            setattr(self, name, value)
        return self

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
        changed = self._changed(self.get_params())
        arguments = ", ".join(f"{name}={value!r}" for name, value in changed.items())
        return f"{type(self).__name__}({arguments})"
