"""The results of a network are checked before they are written."""

import numpy as np
import pytest

from otcondense.errors import InputError
from pipeline.feature_work import RESULTS
from pipeline.shard_worker import check_finite


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_result_that_is_not_finite_is_refused_by_name(name: str, value: float) -> None:
    values = np.ones((3, 2), np.float32)
    check_finite(name, values, ["a/0.png", "a/1.png", "a/2.png"])
    values[1, -1] = value
    with pytest.raises(InputError, match=rf"^{name} must be finite.* a/1\.png and 0 more"):
        check_finite(name, values, ["a/0.png", "a/1.png", "a/2.png"])
