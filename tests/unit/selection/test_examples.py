"""Every public class of the library explains itself: its parameters, and an example that runs."""

import doctest
import importlib
import inspect
import re

import pytest

from otcondense.selection import SELECTORS, ClassSelector, Selector

PACKAGES = ("otcondense.selection", "otcondense.ot")
WITHOUT_SOURCE = {"NearestMeanSelector", "Selector", "ClassSelector"}
"""Classes with parameters that no publication describes."""


def public_classes() -> list[type]:
    found = []
    for package in map(importlib.import_module, PACKAGES):
        members = [getattr(package, name) for name in package.__all__]
        found += [each for each in members if inspect.isclass(each)]
    return found


every_class = pytest.mark.parametrize("cls", public_classes(), ids=lambda each: each.__name__)
every_estimator = pytest.mark.parametrize(
    "cls", [*SELECTORS.values(), Selector, ClassSelector], ids=lambda each: each.__name__
)


def sections(cls: type) -> dict[str, str]:
    """Return the numpydoc sections of a class, by name."""
    text = inspect.getdoc(cls)
    assert text
    parts = re.split(r"\n\n(\w+)\n-+\n", text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@every_class
def test_every_public_class_has_an_example_that_runs(cls: type) -> None:
    examples = doctest.DocTestFinder(exclude_empty=True).find(cls, cls.__name__, globs={})
    assert any(each.name == cls.__name__ and each.examples for each in examples)
    runner = doctest.DocTestRunner()
    said: list[str] = []
    for each in examples:
        runner.run(each, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)


@every_estimator
def test_the_documentation_lists_every_parameter_with_its_default_and_meaning(cls: type) -> None:
    found = sections(cls)
    entries = re.findall(r"^(\w+) : (.+), default (.+)\n    (\S.*)", found["Parameters"], re.M)
    expected = inspect.signature(cls).parameters
    assert [name for name, *_ in entries] == list(expected)
    for name, _, default, meaning in entries:
        assert default.replace('"', "'") == short(expected[name].default)
        assert meaning[0].isupper() or meaning[0] == '"'


def short(default: object) -> str:
    """Return a default as the documentation writes it."""
    return f"{type(default).__name__}()" if "Config" in repr(default) else repr(default)


@every_estimator
def test_the_documentation_has_results_examples_and_sources(cls: type) -> None:
    expected = ["Parameters", "Attributes", "Examples", "References"]
    if cls.__name__ in WITHOUT_SOURCE:
        expected.remove("References")
    assert list(sections(cls)) == expected


@every_estimator
def test_every_documented_result_is_there_after_a_fit(cls: type) -> None:
    if cls is Selector:
        cls = SELECTORS["herding"]
        names = attributes(Selector)
    else:
        names = attributes(cls)
    features = [[float(number), number % 3] for number in range(12)]
    data = {} if cls is ClassSelector else {"difficulty": list(range(12))}
    fitted = cls().set_params(budget=3).fit(features, **data)
    for name in names:
        assert hasattr(fitted, name), name


def attributes(cls: type) -> list[str]:
    return re.findall(r"^(\w+) : ", sections(cls)["Attributes"], re.M)
