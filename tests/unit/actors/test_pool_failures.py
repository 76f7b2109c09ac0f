"""What a user reads when units of a pool have failed."""

import pytest

from actors.pool import PoolOutcome, refuse_failures
from otcondense.errors import InputError


def test_a_reason_that_many_units_share_is_one_line() -> None:
    failures = {f"batch {number:03}": "no worker" for number in range(400)}
    outcome = PoolOutcome(failures={**failures, "other": "a mistake"})
    with pytest.raises(InputError) as caught:
        refuse_failures(outcome, 500, "batches")
    first, shared, own = str(caught.value).splitlines()
    assert first == "401 of 500 batches failed; finished work is kept:"
    assert shared.startswith("  batch 000, batch 001, ")
    assert shared.endswith(", batch 009 and 390 more: no worker")
    assert own == "  other: a mistake"
