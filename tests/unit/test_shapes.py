"""Which calls of a function have the shapes of their arrays checked."""

import beartype
import jaxtyping
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from tests.shapes import EVERY, FIRST, IsSkipped


def _length(x: Float[Tensor, " n"]) -> int:
    return len(x)


def test_the_first_calls_of_a_test_and_a_share_of_the_others_are_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked = jaxtyping.jaxtyped(_length, typechecker=beartype.beartype)
    monkeypatch.setattr(_length, "__no_type_check__", IsSkipped(), raising=False)
    refused = [_is_refused(checked) for _ in range(3 * EVERY)]
    assert all(refused[:FIRST])
    assert [call for call, found in enumerate(refused, 1) if found and call > FIRST] == [
        EVERY,
        2 * EVERY,
        3 * EVERY,
    ]
    monkeypatch.setattr(IsSkipped, "test", IsSkipped.test + 1)
    assert _is_refused(checked)


def _is_refused(function: object) -> bool:
    """Call a function of vectors with a matrix; tell whether it is refused."""
    assert callable(function)
    try:
        function(torch.zeros(2, 2))
    except jaxtyping.TypeCheckError:
        return True
    return False
