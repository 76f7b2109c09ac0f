"""Captions in files of a folder of images: NAME.txt next to an image, or one table of all.

The table is `metadata.jsonl` or `metadata.csv` as Hugging Face's `imagefolder` reads it: a column
`file_name`, relative to the folder of the table, and one of texts.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from otcondense.datasets.access import read_file
from otcondense.datasets.captions import LONGEST_BYTES, TOO_LONG, TWICE, Captions
from otcondense.datasets.labels import shorten
from otcondense.datasets.manifest_files import table_rows
from otcondense.datasets.parts import Part, texts
from otcondense.datasets.records import SourceConfig
from otcondense.datasets.trees import THREADS, SourceFile, Tree
from otcondense.errors import InputError

TEXT_SUFFIX = ".txt"
NAME_COLUMN, TEXT_COLUMN = "file_name", "text"
"""Columns of a table of captions."""
PART = 4096
"""Files that are read before the next ones are asked for."""
LAST_SUFFIX = r"\.[^./]*$"


@dataclass(frozen=True)
class FolderCaptions:
    """The captions in a folder of images."""

    source: SourceConfig
    tree: Tree
    files: pa.LargeStringArray
    """Names of the files that may hold captions."""
    sizes: np.ndarray
    """Bytes of each of them."""

    @classmethod
    def of(cls, source: SourceConfig, tree: Tree) -> "FolderCaptions":
        """Return the captions in a folder; none if the source has no captions.

        Raises: InputError if no file can hold some.
        """
        name = (source.captions or "").partition(":")[0]
        if source.captions is None:
            wanted = np.zeros(len(tree), np.bool_)
        elif name == TEXT_SUFFIX[1:]:
            wanted = tree.are([TEXT_SUFFIX])
        else:
            visible = tree.are([f".{name.rpartition('.')[2]}"])
            wanted = visible & pc.equal(tree.names, name).to_numpy().astype(np.bool_)
        found = cls(source, tree, tree.paths(wanted), tree.size_bytes[wanted])
        if source.captions is not None and not len(found.files):
            raise InputError(
                f"{source.path} must hold captions (source.captions={source.captions}), found no "
                f"{'file NAME.txt' if name == TEXT_SUFFIX[1:] else name}; add it, or set "
                "source.captions"
            )
        return found

    @property
    def _are_texts(self) -> bool:
        return self.source.captions == TEXT_SUFFIX[1:]

    def attach(self, part: Part) -> Part:
        """Return images with their captions."""
        if self.source.captions is None:
            return part
        captions = self._texts(part) if self._are_texts else self._from_tables(part)
        return captions.attach(part)

    def without_own(self, others: pa.LargeStringArray) -> pa.LargeStringArray:
        """Return the names of other files without those of captions."""
        if self.source.captions is None:
            return others
        return others.filter(pc.invert(pc.is_in(others, value_set=self.files)))

    def _texts(self, part: Part) -> Captions:
        """Read NAME.txt of each image."""
        stems = pc.replace_substring_regex(self.files, LAST_SUFFIX, "")
        wanted = pc.replace_substring_regex(part.ids, LAST_SUFFIX, "")
        places = pc.index_in(wanted, value_set=stems)
        counts = stems.value_counts()
        doubled = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
        is_doubled = pc.is_in(wanted, value_set=doubled).to_pylist()
        captions = Captions()
        read = self._read(places)
        for is_twice, data in zip(is_doubled, read, strict=True):
            is_long = data is not None and len(data) > LONGEST_BYTES
            fault = TOO_LONG if is_long else ""
            captions.add(data, TWICE if is_twice else fault)
        return captions

    def _read(self, places: pa.Array) -> Iterator[bytes | None]:
        """Yield the content of the file at each place, some at the same time."""
        with ThreadPoolExecutor(THREADS) as pool:
            for start in range(0, len(places), PART):
                yield from pool.map(self._content, places.slice(start, PART).to_pylist())

    def _content(self, place: int | None) -> bytes | None:
        """Return the beginning of a file; None if there is none."""
        if place is None:
            return None
        if self.sizes[place] > LONGEST_BYTES:
            return bytes(LONGEST_BYTES + 1)
        path = f"{self.tree.root}/{self.files[place].as_py()}"
        return read_file(path, LONGEST_BYTES + 1)

    def _from_tables(self, part: Part) -> Captions:
        """Look up each image in the tables."""
        names, values = self._table.names, self._table.values
        places = pc.index_in(part.ids, value_set=texts(names)).to_pylist()
        captions = Captions()
        for place in places:
            value = None if place is None else values[place]
            is_twice = place is not None and names[place] in self._table.twice
            captions.add(value, TWICE if is_twice else "")
        may_have_some = len(part) > len(part.faulty.rows)
        if may_have_some and all(place is None for place in places):
            shown = shorten(names)
            raise InputError(
                f"{self.source.captions} of {self.source.path} must name the images, relative to "
                f"its folder, found {shown or 'no row'} and none of them"
            )
        return captions

    @cached_property
    def _table(self) -> "_Table":
        return _Table.of(self._rows())

    def _rows(self) -> Iterator[tuple[str, object]]:
        """Yield path below the root and caption of each row of the tables."""
        column = (self.source.captions or "").partition(":")[2] or TEXT_COLUMN
        changed = {"image_column": NAME_COLUMN, "label_column": None, "id_column": None}
        columns = self.source.model_copy(update={**changed, "captions": column})
        for name in self.files.to_pylist():
            folder = name.rpartition("/")[0]
            start = f"{folder}/" if folder else ""
            file = SourceFile(name, f"{self.tree.root}/{name}", 0, 0)
            for _, row in table_rows(columns, file):
                yield start + str(row[0] or "").removeprefix("./"), row[3]


@dataclass(frozen=True)
class _Table:
    """Rows of tables of captions."""

    names: list[str]
    """Paths of images below the root, each once."""
    values: list[object]
    """The first caption of each."""
    twice: frozenset[str]
    """Those with two captions that differ."""

    @classmethod
    def of(cls, rows: Iterable[tuple[str, object]]) -> "_Table":
        """Return rows, which may repeat a name."""
        first: dict[str, object] = {}
        twice = [name for name, value in rows if first.setdefault(name, value) != value]
        return cls(list(first), list(first.values()), frozenset(twice))
