"""The sizes in footers and pages are those that pyarrow reads, for every way of writing a file."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from otcondense.datasets.parquet_footer import page_bytes, read_row_groups

ROWS = 600
WAYS = {
    "default": {},
    "plain": {"compression": "none", "use_dictionary": False},
    "zstd": {"compression": "zstd"},
    "gzip": {"compression": "gzip"},
    "second version of pages": {"data_page_version": "2.0"},
    "small pages": {"data_page_size": 500},
    "row groups": {"row_group_size": 70},
    "index of pages": {"write_page_index": True},
    "no statistics": {"write_statistics": False},
    "checksums": {"write_page_checksum": True},
}


@pytest.mark.parametrize("way", WAYS)
def test_sizes_are_those_of_pyarrow(tmp_path: Path, way: str) -> None:
    rng = np.random.default_rng(0)
    columns = {
        "image": [{"bytes": rng.bytes(300) if n % 9 else None, "path": None} for n in range(ROWS)],
        "label": ["cat", "dog", "emu"] * (ROWS // 3),
        "features": [list(rng.normal(size=8)) for _ in range(ROWS)],
        "row": list(range(ROWS)),
        "nothing": pa.nulls(ROWS),
    }
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns), file, **WAYS[way])
    metadata = pq.ParquetFile(file).metadata
    with file.open("rb") as opened:
        groups = read_row_groups(opened)
        assert [group.rows for group in groups] == [
            metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)
        ]
        for number, group in enumerate(groups):
            expected = metadata.row_group(number)
            for place, leaf in enumerate(group.leaves):
                column = expected.column(place)
                assert (leaf.path, leaf.values) == (column.path_in_schema, column.num_values)
                assert leaf.plain_bytes == column.total_uncompressed_size
                assert leaf.stored_bytes == column.total_compressed_size
                assert leaf.nulls == (column.statistics.null_count if column.statistics else None)
                assert 0 < page_bytes(opened, leaf) <= leaf.plain_bytes
    assert [leaf.path for leaf in groups[0].below("image")] == ["image.bytes", "image.path"]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"\xff" * 40, b"\0" * 8 + b"\xff\xff\0\0PAR1"])
def test_a_file_without_a_footer_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with (tmp_path / "a").open("rb") as opened, pytest.raises(ValueError, match="footer"):
        read_row_groups(opened)
