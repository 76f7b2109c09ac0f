"""The outputs of an encoder are checked before a class is written."""

import numpy as np
import pytest

from otcondense.datasets import ImageRecord
from otcondense.errors import InputError
from otcondense.store import Store
from pipeline.chunks import ImageStatus
from pipeline.class_task import plan_class, write_class
from pipeline.encoding import ARRAYS, EncodedChunk


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_output_that_is_not_finite_is_refused_by_name(name: str, value: float, tmp_path) -> None:
    records = [ImageRecord(f"a/{i}.png", "a", 0, f"a/{i}.png", 1, 0) for i in range(3)]
    arrays = {key: np.ones((3, 2) if key in ARRAYS[:2] else 3, np.float32) for key in ARRAYS}
    arrays[name].reshape(3, -1)[1, -1] = value
    task = plan_class(records, "fingerprint", "0" * 64, 3)
    task.add(EncodedChunk(0, 0, [ImageStatus(None, 8, 8, "0" * 64)] * 3, arrays))
    with pytest.raises(InputError, match=rf"^{name} must be finite.* a/1\.png and 0 more"):
        write_class(Store(str(tmp_path)), "features", task)
