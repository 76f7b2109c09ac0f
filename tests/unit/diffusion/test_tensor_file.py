"""Files of tensors have the bytes of safetensors, and a damaged one is refused."""

import hashlib
import io
import json

import pytest
import torch
from safetensors.torch import save

from otcondense.diffusion.tensor_file import DTYPES, parse_tensors, write_tensors


def tensors():
    generator = torch.Generator().manual_seed(0)
    found = {
        f"layer.{number}.é": torch.randint(0, 2, (3, number), generator=generator).to(dtype)
        for number, dtype in enumerate(DTYPES.values())
    }
    return {"b": torch.tensor(1.5), "a": torch.arange(6.0).reshape(2, 3), **found}


def test_the_bytes_are_those_of_safetensors():
    file = io.BytesIO()
    digest = write_tensors(file, tensors())
    assert file.getvalue() == save(tensors())
    assert digest.size == len(file.getvalue())
    assert digest.sha256 == hashlib.sha256(file.getvalue()).hexdigest()


def test_tensors_are_read_back():
    found = parse_tensors(bytearray(save(tensors())))
    expected = tensors()
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].dtype == values.dtype
        assert torch.equal(found[name], values)


def with_header(header, values=bytes(16)):
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + values


def one(**changed):
    return with_header({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], **changed}})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 20,
        with_header([]),
        with_header({"a": 1}),
        one(dtype="F128"),
        one(shape=[5]),
        one(shape=[-4]),
        one(shape=None),
        one(shape=[2**62, 4]),
        one(data_offsets=[0, 17]),
        one(data_offsets=[-4, 12]),
        one(data_offsets=[8, 24]),
    ],
)
def test_a_malformed_file_is_refused(data):
    with pytest.raises(ValueError, match=r"must|Expecting"):
        parse_tensors(bytearray(data))
