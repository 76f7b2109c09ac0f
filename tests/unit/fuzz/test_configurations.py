"""Configurations of any content: accepted, or refused in a sentence; never a traceback."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jobs.command.cli import run_parser
from jobs.command.settings import load_config
from jobs.run_directory.config import RunConfig
from otcondense.errors import InputError

BASE = "jobs/configs/demo.yaml"
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3)
    ),
    max_leaves=8,
)


def settings_of(model: Any, path: str = "") -> list[str]:
    """Every dotted name in the demo's configuration."""
    if not isinstance(model, dict):
        return [path]
    return [
        path,
        *(
            name
            for key, value in model.items()
            for name in settings_of(value, f"{path}.{key}" if path else key)
        ),
    ]


NAMES = [
    name
    for name in settings_of(
        RunConfig(**yaml.safe_load(Path(BASE).read_text())).model_dump(mode="json")
    )
    if name
]


def answer(path: str, overrides: list[str]) -> RunConfig | str:
    """Return the configuration or the sentence that a user gets; other errors fail the test."""
    try:
        return load_config(path, overrides)
    except InputError as error:
        return str(error)


def exit_status(arguments: list[str]) -> object:
    try:
        run_parser("run").parse_intermixed_args(arguments)
    except SystemExit as end:
        return end.code
    return 0


@settings(max_examples=300)
@given(name=st.sampled_from(NAMES), value=values)
@example(name="selection.budget", value=float("nan"))
@example(name="selection.settings", value={"geometry_aware": {"kappa": "1e400"}})
def test_any_value_of_a_known_setting(name: str, value: Any) -> None:
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    assert answer(BASE, [f"{name}={text.strip()}"])


@settings(max_examples=200)
@given(override=st.text(max_size=40))
@example("selection=&a [*a]")
@example("a.b.c.d=1")
@example("=")
@example("run=!!python/object/apply:os.system [true]")
def test_any_override(override: str) -> None:
    assert answer(BASE, [override])


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200) | values.map(lambda value: yaml.safe_dump(value).encode()))
@example(b"\xff\xfe")
@example(b"a: &a [*a, *a]")
@example(b"? [1, 2]\n: 3")
@example(b"1: 2")
def test_any_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    assert answer(str(path), [])


@settings(max_examples=100)
@given(arguments=st.lists(st.text(max_size=20), max_size=4))
def test_any_command_line(arguments: list[str]) -> None:
    assert exit_status(arguments) in (0, 2)


@pytest.mark.parametrize("depth", [100, 100_000])
def test_deep_nesting(tmp_path: Path, depth: int) -> None:
    (tmp_path / "c.yaml").write_text("[" * depth)
    assert answer(str(tmp_path / "c.yaml"), [])


def test_a_value_that_grows_when_it_is_written_out() -> None:
    """Aliases of aliases: 9^9 leaves in one line."""
    lists = [
        "&a0 [x, x, x, x, x, x, x, x, x]",
        *(f"&a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)),
    ]
    with pytest.raises(InputError, match="budget"):
        load_config(BASE, [f"selection.budget=[{', '.join(lists)}]"])
