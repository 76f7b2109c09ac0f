"""Every file on its way in: read, or refused in a sentence; never another exception."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otcondense.errors import InputError
from tests.unit.fuzz.kinds import KINDS
from tests.unit.fuzz.test_readers import Damage, damaged, damages

SLOW = {"marker of the glyphs": 10, "weights": 10, "digest of weights": 5}
"""Examples of the kinds whose reader takes longest."""
EXAMPLES = 20
MANY = 1500
"""Damages of each kind in the long lane."""
LONGEST_MESSAGE = 3000
"""Characters; a message may list the settings of a group."""


def outcome(kind: str, file: Path) -> str:
    """Return what became of a file; another exception than InputError fails the test."""
    message = ""
    try:
        KINDS[kind].read(file)
    except InputError as error:
        message = str(error)
        assert_is_sentence(message)
    return "refused" if message else "read"


def assert_is_sentence(message: str) -> None:
    assert message.strip()
    assert len(message) < LONGEST_MESSAGE


@pytest.mark.parametrize("kind", KINDS)
def test_a_valid_file_is_read(tmp_path: Path, kind: str) -> None:
    KINDS[kind].read(KINDS[kind].write(tmp_path))


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_read_or_refused(tmp_path: Path, kind: str) -> None:
    file = KINDS[kind].write(tmp_path)
    content = file.read_bytes()

    @settings(
        max_examples=SLOW.get(kind, EXAMPLES),
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(damage=damages)
    def check(damage: Damage) -> None:
        file.write_bytes(damaged(content, damage))
        outcome(kind, file)

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_anything_is_read_or_refused(tmp_path: Path, kind: str) -> None:
    file = KINDS[kind].write(tmp_path)

    @settings(max_examples=SLOW.get(kind, EXAMPLES) // 3)
    @given(content=st.binary(max_size=300))
    def check(content: bytes) -> None:
        file.write_bytes(content)
        outcome(kind, file)

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_one_flipped_bit_is_read_or_refused(tmp_path: Path, kind: str) -> None:
    file = KINDS[kind].write(tmp_path)
    content = file.read_bytes()
    count = SLOW.get(kind, EXAMPLES)
    for place in range(0, len(content), max(1, len(content) // count)):
        bit = 1 << place % 8
        file.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
        outcome(kind, file)


@pytest.mark.full
@pytest.mark.parametrize("kind", sorted(KINDS.keys() - SLOW.keys()))
def test_many_damaged_files_are_read_or_refused(tmp_path: Path, kind: str) -> None:
    """Several places at once, most of them near the end, where Parquet and zip have their lists."""
    file = KINDS[kind].write(tmp_path)
    content = file.read_bytes()
    dice = random.Random(0)
    for _ in range(MANY):
        data = bytearray(content)
        for _ in range(dice.choice([1, 1, 2, 5])):
            back = min(len(data) - 1, int(dice.expovariate(1 / 200)))
            place = dice.choice([dice.randrange(len(data)), len(data) - 1 - back])
            data[place] = dice.choice([data[place] ^ 1 << dice.randrange(8), 0, 127, 128, 255])
        file.write_bytes(data)
        outcome(kind, file)
