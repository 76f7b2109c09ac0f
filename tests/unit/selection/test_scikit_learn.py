"""The estimator checks of scikit-learn, run on `ClassSelector` with every selector."""

from collections.abc import Iterator

import jaxtyping
import pytest
from sklearn.utils.estimator_checks import check_estimator

from otcondense.selection import SELECTORS, ClassSelector

EXCEPTIONS = {
    "check_dtype_object": "it asks for a TypeError in the words of float(); ours is an InputError, "
    "a ValueError that names the argument",
}
"""Checks that fail, each with its reason. docs/selection.md lists them too."""
SKIPPED = {
    "check_array_api_input": "scikit-learn skips it unless SCIPY_ARRAY_API is set",
}
"""Checks that scikit-learn itself leaves out here."""
NOT_RUN = {
    "ccs": "fit needs difficulty, which the checks do not give",
    "d2c": "fit needs difficulty, which the checks do not give",
}
"""Methods that the checks cannot fit, each with its reason."""
QUICK = "herding"
"""Method of the checks in every test run; those of the others are slow together."""


@pytest.fixture(autouse=True)
def without_checked_types() -> Iterator[None]:
    """Turn off the check of types that tests add: the checks give values of wrong types."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def methods() -> list[object]:
    names = [name for name in SELECTORS if name not in NOT_RUN]
    return [name if name == QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", methods())
@pytest.mark.filterwarnings("ignore")  # checks give deprecated and ill-conditioned inputs
def test_the_checks_of_scikit_learn_pass_but_for_the_listed_ones(name: str) -> None:
    more = {"lower_bound": None, "rebuilds": 0} if name == "geometry_aware" else {}
    selector = SELECTORS[name](budget=2, small_class="take_all", **more)
    results = check_estimator(ClassSelector(selector), on_fail=None, on_skip=None)
    failed = {
        each["check_name"]: str(each["exception"]) for each in results if each["status"] == "failed"
    }
    skipped = {each["check_name"] for each in results if each["status"] == "skipped"}
    assert failed.keys() == EXCEPTIONS.keys(), failed
    assert skipped <= SKIPPED.keys()
    assert len(results) > 30


@pytest.mark.parametrize("name", NOT_RUN)
def test_methods_that_are_not_checked_say_what_they_need(name: str) -> None:
    assert "difficulty" in SELECTORS[name].needs
