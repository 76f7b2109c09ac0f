"""Lists of images: files of other tools, and what they call an image."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.run_directory import list_kinds
from jobs.run_directory.id_lists import read_ids
from jobs.run_directory.named_images import matched
from otcondense.datasets import SourceConfig, scan_images
from otcondense.errors import InputError

TWO = ["ant/1.png", "bee/2.png"]
SAMPLES = {
    "samples": [
        {"_id": {"$oid": "6"}, "filepath": "data/ant/1.png", "tags": ["reject"]},
        {"_id": {"$oid": "7"}, "filepath": "data/bee/2.png", "tags": ["keep", "seen"]},
    ]
}
LIGHTLY = "file_path_abs,class_name,confidence,annotation_source\n/x/ant/1.png,ant,1,a\n"
FASTDUP = "index,filename,error_code,is_valid\n4,/x/ant/1.png,,False\n6,/x/bee/2.png,,True\n"
CLEANLAB = "image_id,is_label_issue,label_score\nant/1.png,True,0.1\nbee/2.png,False,0.9\n"
MARKS = json.dumps({"include": TWO[:1], "exclude": TWO[1:]})


def written(root: Path, name: str, content: Any) -> str:
    if isinstance(content, Mapping) and name.endswith(".parquet"):
        pq.write_table(pa.table(content), root / name)
    else:
        text = content if isinstance(content, str) else json.dumps(content)
        (root / name).write_text(text, encoding="utf-8")
    return str(root / name)


@pytest.mark.parametrize(
    ("name", "word", "content", "expected"),
    [
        ("plain.csv", "", "ant/1.png\nbee/2.png\n", TWO),
        ("array.csv", "", TWO, TWO),
        ("braces.txt", "", "{a}.png\n", ["{a}.png"]),
        ("samples.json", "", SAMPLES, ["data/ant/1.png", "data/bee/2.png"]),
        ("samples.json", "#reject", SAMPLES, ["data/ant/1.png"]),
        ("objects.json", "", [{"image_id": 12}, {"image_id": 3}], ["12", "3"]),
        (
            "atlas.jsonl",
            "",
            '{"image_id": "ant/1.png", "x": 0}\n\n{"image_id": "b"}\n',
            [*TWO[:1], "b"],
        ),
        ("lightly.csv", "", LIGHTLY, ["/x/ant/1.png"]),
        ("fastdup.csv", "#is_valid", FASTDUP, ["/x/bee/2.png"]),
        ("cleanlab.csv", "#is_label_issue", CLEANLAB, TWO[:1]),
        ("quoted.csv", "", 'filename\n"a, ""b"".png"\n', ['a, "b".png']),
        ("tabs.tsv", "#duplicate", "id\tduplicate\n1\tbee/2.png\n", TWO[1:]),
        ("tags.csv", "#bad", 'id,tags\n1,"bad, old"\n2,"[\'bad\']"\n3,good\n', ["1", "2"]),
        ("marks.json", "#exclude", MARKS, TWO[1:]),
        ("with#mark.txt", "", "ant/1.png\n", TWO[:1]),
        ("t.parquet", "", {"x": [0.1, 0.2], "image_id": TWO}, TWO),
        ("t.parquet", "#out", {"image_id": TWO, "out": [False, True]}, TWO[1:]),
        ("t.parquet", "#old", {"image_id": TWO, "tags": [["old"], []]}, TWO[:1]),
    ],
)
def test_files_of_other_tools_list_images(
    name: str, word: str, content: Any, expected: list[str], tmp_path: Path
) -> None:
    path = written(tmp_path, name, content)
    assert read_ids(path + word, "selection.exclude") == tuple(expected)


@pytest.mark.parametrize(
    ("name", "word", "content", "message"),
    [
        ("t.csv", "#out", "id,label\n1,cat\n", "no tag and no column out, found the tags none"),
        ("t.json", "#rejct", SAMPLES, r"tags reject \(1\), keep \(1\).* did you mean reject\?"),
        ("t.json", "", MARKS, "lists include, exclude; name one as in .*#include or .*#exclude"),
        ("t.json", "", "{}", "lists none; correct the path"),
        ("t.json", "", '{"samples": [', "cannot be read as JSON"),
        ("t.json", "", [{"image_id": "a"}, {"image_id": ""}], "entry 2: image_id .* found nothing"),
        ("t.json", "", [{"image_id": ["a"]}], "entry 1: image_id must be .* found \\['a'\\]"),
        (
            "t.json",
            "",
            [{"label": "a"}],
            "a column that names images .* found label; name it as in",
        ),
        ("t.jsonl", "", '{"id": 1}\n{"id"\n', "line 2, cannot be read as JSON"),
        ("t.csv", "", "filename,label\na.png,x\n,x\n", "row 2: filename must be .* found nothing"),
        ("t.txt", "#bad", "a.png\n", "plain list of ids and has no part bad"),
        ("t.json", "#bad", TWO, "plain list of ids and has no part bad"),
        ("t.parquet", "", {"x": [1.0]}, "a column that names images .* found x"),
        ("t.parquet", "", "no table", "not a readable Parquet file"),
        ("t.csv", "", "filename\n", "at least one image, found none in"),
    ],
)
def test_a_file_that_lists_no_images_is_refused_with_its_place(
    name: str, word: str, content: Any, message: str, tmp_path: Path
) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(InputError, match=message):
        read_ids(path + word, "selection.exclude")


def test_a_column_larger_than_a_list_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = {"image_id": TWO, "vectors": [list(range(900)), list(range(900))]}
    path = written(tmp_path, "t.parquet", table)
    monkeypatch.setattr(list_kinds, "LIST_BYTES", 1000)
    assert read_ids(path, "selection.exclude") == tuple(TWO)
    with pytest.raises(InputError, match="vectors, must have at most 1 kB"):
        read_ids(f"{path}#vectors", "selection.exclude")
    monkeypatch.setattr(list_kinds, "MOST_ROWS", 1)
    with pytest.raises(InputError, match="at most 1 rows, found 2"):
        read_ids(f"{path}#image_id", "selection.exclude")


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("images")
    for name in ("ant/1.png", "ant/2.png", "bee/2.png", "bee/deep/ant/1.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return scan_images(SourceConfig(path=str(root)))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ant/1.png", "ant/1.png"),
        ("/data/set/ant/2.png", "ant/2.png"),
        ("/data/set/bee/deep/ant/1.png", "bee/deep/ant/1.png"),
        ("file:///data/set/bee/2.png", "bee/2.png"),
        ("C:\\data\\bee\\2.png", "bee/2.png"),
        ("deep/ant/1.png", "bee/deep/ant/1.png"),
    ],
)
def test_paths_and_ends_of_ids_name_an_image(listing: Any, name: str, expected: str) -> None:
    assert matched(listing, [name], "selection.exclude", "images") == {name: expected}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["2.png"],
            "one image each, found 2.png, which fits 2, among them ant/2.png and bee/2.png",
        ),
        (["ant/1.png", "ant/3.png"], r"found ant/3.png \(1 of 2 are unknown\); did you mean ant/"),
        ([""], "must name images of images, found"),
        (["/"], "must name images of images, found /"),
        (["nt/2.png"], "found nt/2.png"),
    ],
)
def test_a_name_that_fits_no_image_or_several_is_refused(
    listing: Any, names: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        matched(listing, names, "selection.exclude", "images")
