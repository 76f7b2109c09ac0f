"""YAML of any origin as plain values: it cannot run code, and cannot grow when it is read."""

from typing import Any

import yaml

from otcondense.errors import InputError
from otcondense.reading import check_text

ALIASED_VALUES = 10_000
"""Values that aliases (`*name`) may repeat: a configuration repeats some dozens, and a few lines of
aliases of aliases would repeat billions."""
LONGEST_SCALAR = 4096
"""Characters of one value, as long as a path can be; YAML reads some longer ones, such as numbers
of base 60, in quadratic time."""
LONGEST_NUMBER = 1000
"""Digits of a whole number; Python refuses to write numbers of more than 4300."""
INTEGER = "tag:yaml.org,2002:int"


class _Loader(yaml.SafeLoader):
    """A safe loader that counts what aliases and merge keys repeat."""

    def __init__(self, stream: str | bytes) -> None:
        super().__init__(stream)
        self._nodes = 0
        self._aliased = 0
        self._sizes: dict[str, int] = {}
        """Values below each anchor, what its aliases repeat included."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next node."""
        if self.check_event(yaml.AliasEvent):
            self._repeat(self.peek_event())  # type: ignore[no-untyped-call]
            return super().compose_node(parent, index)

        anchor = self.peek_event().anchor  # type: ignore[no-untyped-call]
        before = self._nodes + self._aliased
        self._nodes += 1
        node = super().compose_node(parent, index)
        if anchor is not None:
            self._sizes[anchor] = self._nodes + self._aliased - before
        return node

    def _repeat(self, alias: yaml.AliasEvent) -> None:
        size = self._sizes.get(alias.anchor or "")
        if size is None:
            raise yaml.YAMLError(f"the alias *{alias.anchor} stands before or in its own anchor")
        self._aliased += size
        if self._aliased > ALIASED_VALUES:
            raise yaml.YAMLError(
                f"its aliases repeat more than {ALIASED_VALUES} values, the last is *{alias.anchor}"
            )

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        """Return the next value."""
        node = super().compose_scalar_node(anchor)
        if len(node.value) > LONGEST_SCALAR:
            raise yaml.YAMLError(
                f"a value has {len(node.value)} characters, at most {LONGEST_SCALAR} are read"
            )
        if node.tag == INTEGER and len(node.value) > LONGEST_NUMBER:
            raise yaml.YAMLError(f"a whole number has {len(node.value)} digits")
        check_text(node.value, "a value")
        return node


def parse_yaml(text: str | bytes, name: str) -> Any:
    """Return the value of a YAML text.

    Raises: InputError, which begins with `name`, if the text is not valid YAML, or aliases in it
        repeat too much.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, AttributeError) as error:
        # Impossible dates are a ValueError, endless nesting is a RecursionError.
        raise InputError(f"{name} is not valid YAML: {' '.join(str(error).split())}") from error
