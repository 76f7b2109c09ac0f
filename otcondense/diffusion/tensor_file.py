"""Files of tensors in the format of safetensors, written and read without a second copy in memory.

The library `safetensors` makes all bytes of a file before the first is written, and copies a file
that was read. A part of a checkpoint takes gigabytes, so here tensors are written one after
another, and are views of the bytes that were read. The bytes are those of `safetensors.torch.save`.

Source: https://github.com/huggingface/safetensors#format
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from otcondense.diffusion.checkpoint_state import FileDigest

DTYPES = {
    "I64": torch.int64,
    "F64": torch.float64,
    "F32": torch.float32,
    "I32": torch.int32,
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""Types by their name in a file, in the order in which a file has them."""
LENGTH_BYTES = 8
"""The length of the header comes first; the header is padded with spaces to a multiple of it."""
LONGEST_HEADER = 10**8
"""Most bytes of a header, as in the library."""


@runtime_checkable
class Sink(Protocol):
    """A file to write, local or on an object store."""

    def write(self, data: Any, /) -> Any:
        """Write the bytes of a buffer."""


def write_tensors(file: Sink, tensors: Mapping[str, Tensor]) -> FileDigest:
    """Write contiguous tensors of the CPU to a file; return size and hash of what was written."""
    names = _order(tensors)
    header = _header({name: tensors[name] for name in names})
    sha256, size = hashlib.sha256(header), len(header)
    file.write(header)
    for name in names:
        data = _bytes_of(tensors[name])
        file.write(data)
        sha256.update(data)
        size += len(data)
    return FileDigest(size, sha256.hexdigest())


def _order(tensors: Mapping[str, Tensor]) -> list[str]:
    kinds = list(DTYPES.values())
    return sorted(tensors, key=lambda name: (kinds.index(tensors[name].dtype), name.encode()))


def _header(tensors: Mapping[str, Tensor]) -> bytes:
    names = {dtype: name for name, dtype in DTYPES.items()}
    described, start = {}, 0
    for name, tensor in tensors.items():
        end = start + tensor.numel() * tensor.element_size()
        described[name] = {
            "dtype": names[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
        start = end
    text = json.dumps(described, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % LENGTH_BYTES)
    return len(text).to_bytes(LENGTH_BYTES, "little") + text


def _bytes_of(tensor: Tensor) -> memoryview:
    assert tensor.is_contiguous(), "a file holds tensors in C order"
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def parse_tensors(data: bytearray) -> dict[str, Tensor]:
    """Return the tensors in the bytes of a file, as views of them.

    Raises: ValueError if the bytes are not those of a file of tensors.
    """
    length = int.from_bytes(data[:LENGTH_BYTES], "little")
    first = LENGTH_BYTES + length
    if length > LONGEST_HEADER or first > len(data):
        raise ValueError(f"its header must have at most {len(data)} bytes, found {length}")
    header = json.loads(data[LENGTH_BYTES:first])
    if not isinstance(header, dict):
        raise ValueError("its header must be an object of JSON")
    values = np.frombuffer(data, dtype=np.uint8)[first:]
    return dict(_views(header, values))


def _views(header: Mapping[str, Any], values: np.ndarray) -> Iterator[tuple[str, Tensor]]:
    for name, found in header.items():
        if name == "__metadata__":
            continue
        try:
            dtype, shape = DTYPES[found["dtype"]], tuple(map(int, found["shape"]))
            start, end = map(int, found["data_offsets"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"{name} must have a known type, a shape and a place") from error
        count = int(np.prod(shape, dtype=object)) if min(shape, default=0) >= 0 else -1
        if not 0 <= start <= end <= len(values) or count * dtype.itemsize != end - start:
            raise ValueError(f"{name} of shape {shape} must lie in bytes {start} to {end}")
        yield name, torch.from_numpy(values[start:end]).view(dtype).reshape(shape)
