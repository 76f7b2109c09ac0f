"""Configurations of any content: accepted, or refused in a sentence; never a traceback."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jobs.cli import parser_for
from jobs.config import RunConfig
from jobs.settings import load_config
from otcondense.errors import InputError

BASE = "jobs/configs/demo.yaml"
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)


def settings_of(model: Any, path: str = "") -> list[str]:
    """Every dotted name in the demo's configuration."""
    if not isinstance(model, dict):
        return [path]
    return [path, *(name for key, value in model.items() for name in settings_of(value, f"{path}.{key}" if path else key))]


NAMES = [name for name in settings_of(RunConfig(**yaml.safe_load(Path(BASE).read_text())).model_dump(mode="json")) if name]


def accepted_or_refused(path: str, overrides: list[str]) -> None:
    with suppress(InputError):
        assert isinstance(load_config(path, overrides), RunConfig)


@settings(max_examples=300)
@given(name=st.sampled_from(NAMES), value=values)
@example(name="selection.budget", value=float("nan"))
@example(name="selection.settings", value={"geometry_aware": {"kappa": "1e400"}})
def test_any_value_of_a_known_setting(name: str, value: Any) -> None:
    accepted_or_refused(BASE, [f"{name}={yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True).strip()}"])


@settings(max_examples=200)
@given(override=st.text(max_size=40))
@example("selection=&a [*a]")
@example("a.b.c.d=1")
@example("=")
@example("run=!!python/object/apply:os.system [true]")
def test_any_override(override: str) -> None:
    accepted_or_refused(BASE, [override])


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200) | values.map(lambda value: yaml.safe_dump(value).encode()))
@example(b"\xff\xfe")
@example(b"a: &a [*a, *a]")
@example(b"? [1, 2]\n: 3")
@example(b"1: 2")
def test_any_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    accepted_or_refused(str(path), [])


@settings(max_examples=100)
@given(arguments=st.lists(st.text(max_size=20), max_size=4))
def test_any_command_line(arguments: list[str]) -> None:
    with suppress(SystemExit):
        parser_for("run", "").parse_intermixed_args(arguments)


@pytest.mark.parametrize("depth", [100, 100_000])
def test_deep_nesting(tmp_path: Path, depth: int) -> None:
    (tmp_path / "c.yaml").write_text("[" * depth)
    accepted_or_refused(str(tmp_path / "c.yaml"), [])


def test_a_value_that_grows_when_it_is_written_out() -> None:
    """Aliases of aliases: 9^9 leaves in one line."""
    lists = ["&a0 [x, x, x, x, x, x, x, x, x]", *(f"&a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9))]
    with pytest.raises(InputError, match="budget"):
        load_config(BASE, [f"selection.budget=[{', '.join(lists)}]"])
